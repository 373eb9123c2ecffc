"""The life of trained models: versions, contests, drift, when to train again."""
