"""How well a classifier bears corrupted images."""
