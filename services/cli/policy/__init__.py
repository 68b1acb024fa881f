"""`ontrack policy`: rules are listed, told in sentences, and tried on a history."""
