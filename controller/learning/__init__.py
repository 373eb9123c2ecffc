"""The forecasting models of the running controller: training beside the cycle, and which model is in service."""
