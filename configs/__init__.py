"""One file per experiment; each opens with its command, its minutes and the number to expect."""
