"""What `ontrack doctor` checks, and what it says of it."""
