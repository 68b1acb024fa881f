"""The API of ingest over HTTP."""
