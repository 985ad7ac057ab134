"""On-device inference and the version directory that carries a pushed model. Never imports TensorFlow."""
