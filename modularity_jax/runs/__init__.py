"""One run: its directory, tables, figures and report."""
