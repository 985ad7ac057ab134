"""A run's report: what it says in figures, and the figures it shows."""
