"""What ingest knows of a case, and which facts it takes."""
