"""The report of a run: one HTML page, and every number on it as JSON."""
