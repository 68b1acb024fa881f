"""What is true of a history, and how it is told: no input, no output, no clock."""
