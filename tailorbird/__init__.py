"""Tailorbird tailors what each customer is told, at the moment it is sent."""

__version__ = "0.1.0"
