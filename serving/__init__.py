"""On-device inference and the version directory that carries a pushed model. Never imports TensorFlow.

from serving import ImageClassifier

labels, probabilities = ImageClassifier("pipeline_root/serving_models/mnist/<version>").classify(images)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.classifier import Classification, ImageClassifier

__all__ = ["Classification", "ImageClassifier"]


def __getattr__(name: str) -> Any:
    """Imports LiteRT when the classifier is asked for: the version directory is read without it too."""
    if name in __all__:
        from serving import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
