"""The pipeline's components: one folder each, plain functions doing the work and a thin executor around them."""
