"""One of each kind, from outside the package: a file, and its dotted name in a config."""
