"""The push."""
