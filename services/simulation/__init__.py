"""A simulated clinic: cohorts of patients nobody has ever met, drawn from a seed, and drawn again the same."""
