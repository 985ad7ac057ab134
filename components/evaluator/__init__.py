"""TFMA's measurements."""
