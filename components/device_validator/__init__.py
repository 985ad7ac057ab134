"""The proof that the file works where it is meant to."""
