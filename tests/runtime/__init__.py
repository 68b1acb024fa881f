"""Tests of the shared machinery: the file of a home, its keys, and the runner of the stages."""
