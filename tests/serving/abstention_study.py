"""Prints how often a model abstains: from what is no digit, and from MNIST's own test digits.

MNIST_MANUAL_DIR=DIRECTORY python -m tests.serving.abstention_study VERSION_DIR
"""

import sys

import numpy as np

from serving import ImageClassifier
from tests.e2e.test_mnist import original
from tests.serving.outsiders import SETS


def refused(classifier: ImageClassifier, images: np.ndarray) -> float:
    """Returns the part of the images that the classifier abstains from."""
    labels, _ = classifier.classify(images, abstain=True)
    return sum(label is None for label in labels) / len(labels)


def main(version: str) -> None:
    """Classifies and prints."""
    classifier = ImageClassifier(version)
    sets = {name: make() for name, make in SETS.items()}
    sets["MNIST's test digits"] = original("t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28)
    print(f"threshold {classifier.threshold:.4f}")
    for name, images in sets.items():
        print(f"{name:<22} {refused(classifier, images):7.2%} of {len(images):,}")


if __name__ == "__main__":
    main(sys.argv[1])
