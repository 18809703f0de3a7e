"""Figures of the papers, one CSV file a kind, each row with its source."""
