"""The mailer: tells therapists by mail that a report is waiting, and records what came of it."""
