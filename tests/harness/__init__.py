"""What several tests share: real switches with cables in their ports."""
