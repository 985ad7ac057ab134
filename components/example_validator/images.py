"""Finding the images that Transform could not decode."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2

from components import records
from components.keys import IMAGE


@dataclass(frozen=True)
class ImageCheck:
    """Result of decoding a split.

    Attributes:
      images: number of examples read.
      bad: number of those without an image that decodes to the expected shape.
      first: what is wrong with the first of them, with its index in the split; empty if none is.
    """

    images: int
    bad: int
    first: str


def check_images(files: list[str], shape: tuple[int, int, int]) -> ImageCheck:
    """Decodes every image of some gzipped TFRecord files of tf.Examples.

    Args:
      files: paths, in order.
      shape: height, width, channels that each decoded image must have.
    """
    count = int(records.read(files).reduce(np.int64(0), lambda total, _: total + 1))
    sizes = records.read(files).enumerate().map(lambda index, record: (index, _decoded_shape(record)), tf.data.AUTOTUNE)
    fitting = np.zeros(count, dtype=bool)
    first_shapes: dict[int, tuple[int, ...]] = {}
    # An image that cannot be decoded fails its element of the pipeline; what is missing then is what is bad.
    for indices, shapes in sizes.ignore_errors().batch(4096).as_numpy_iterator():
        fits = (shapes == shape).all(axis=1)
        fitting[indices[fits]] = True
        first_shapes |= {int(indices[i]): tuple(shapes[i].tolist()) for i in np.flatnonzero(~fits)[:1]}
    bad = np.flatnonzero(~fitting)
    if not bad.size:
        return ImageCheck(images=count, bad=0, first="")
    got = first_shapes.get(int(bad[0]))
    reason = f"has the shape {got}, not {shape}" if got else "is missing, cut off, or no PNG, JPEG, BMP or GIF"
    return ImageCheck(images=count, bad=bad.size, first=f"the image of example {bad[0]} {reason}")


def anomaly(check: ImageCheck) -> anomalies_pb2.AnomalyInfo:
    """Returns a failed check in the form in which TFDV tells anomalies."""
    short = "Undecodable images"
    description = f"{check.bad:,} of {check.images:,} images cannot be decoded as expected; {check.first}"
    return anomalies_pb2.AnomalyInfo(
        path={"step": [IMAGE]},
        severity=anomalies_pb2.AnomalyInfo.ERROR,
        short_description=short,
        description=description,
        reason=[
            anomalies_pb2.AnomalyInfo.Reason(
                type=anomalies_pb2.AnomalyInfo.LOW_SUPPORTED_IMAGE_FRACTION,
                short_description=short,
                description=description,
            )
        ],
    )


def _decoded_shape(record: tf.Tensor) -> tf.Tensor:
    parsed = tf.io.parse_single_example(record, {IMAGE: tf.io.FixedLenFeature([], tf.string, default_value="")})
    return tf.shape(tf.io.decode_image(parsed[IMAGE], expand_animations=False))
