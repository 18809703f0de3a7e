"""Lesion tests: what each module of a trained network does (2003.04881, section 5; 2103.03386)."""
