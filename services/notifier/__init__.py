"""The third stage: from decisions to the reports that therapists read."""
