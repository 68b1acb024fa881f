"""The second stage: from scores to the status of every session."""
