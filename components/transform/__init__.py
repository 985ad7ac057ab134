"""The preprocessing."""
