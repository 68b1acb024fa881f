"""`ontrack import`: responses from a file, an exported log, or a bundle."""
