"""The check of the data against its schema."""
