"""Real servers on one machine without Docker, for developers and for tests: see README.md."""
