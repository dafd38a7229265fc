"""Measurements, run by hand: `make bench`, or one alone with `python -m bench collect`."""
