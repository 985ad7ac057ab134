"""The conversion."""
