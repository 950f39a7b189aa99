"""Validation: what remains of a candidate on data that discovery never saw, and the word for it."""
