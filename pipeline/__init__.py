"""Composition: configuration, the graph, how it is run, and the command line."""
