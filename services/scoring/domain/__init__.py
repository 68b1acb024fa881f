"""Scores: what is known of a case's answers, and what follows from each fact."""
