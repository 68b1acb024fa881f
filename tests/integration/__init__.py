"""The services as processes on real servers."""
