"""What the mailer decides, without input or output."""
