"""Filters: an expression of the service, read, checked against the data, applied as a mask."""
