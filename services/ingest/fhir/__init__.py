"""Ingest in the words of FHIR R4: resources become statements, and responses become resources."""
