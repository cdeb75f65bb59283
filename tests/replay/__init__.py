"""Traces: written by a real initpy, and decided once more by the core."""
