"""Reports: what is known of a case, how a report is put together, and when one is issued or revised."""
