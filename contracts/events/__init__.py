"""Every event that stands on a log, one module for each topic."""
