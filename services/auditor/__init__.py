"""The auditor: runs the stages over a history again, and says whether that gives what stands there."""
