"""Measures of modules against tasks whose modules are known."""
