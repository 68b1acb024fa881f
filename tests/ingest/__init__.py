"""What ingest promises: to whoever sends facts, and to whoever relies on them."""
