"""`ontrack reports`: listed, opened, or written as pages."""
