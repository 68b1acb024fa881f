"""Tests of the reading commands, as a person in front of them meets them."""
