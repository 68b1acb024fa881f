"""The first stage: from answers to scores."""
