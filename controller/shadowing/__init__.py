"""The choice of shadows in the running controller: who is whose, by measured round trips and loads; surges."""
