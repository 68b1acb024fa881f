"""Pages: reports as they are read by people, each one self-contained HTML file."""
