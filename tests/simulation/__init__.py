"""Tests of the simulated clinic."""
