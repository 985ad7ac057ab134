"""The network."""

import keras
from keras import layers


def build_model(
    image_shape: tuple[int, int, int],
    classes: int,
    dropout: float = 0.0,
    filters: tuple[int, ...] = (16, 32, 64),
) -> keras.Model:
    """Builds a small VGG-like convolutional network with batch normalisation.

    Each block is twice (3x3 convolution, batch normalisation, ReLU); max pooling halves the size between blocks.
    Global average pooling instead of flattening keeps the TFLite file's batch size free (no shape is baked in).

    Args:
      image_shape: height, width and channels of the normalised float32 images.
      classes: number of classes.
      dropout: fraction of the pooled features and of the hidden ones to drop while training.
      filters: output channels of each block.

    Returns:
      A model from float32 [N, height, width, channels] to logits float32 [N, classes].

    Source: Simonyan and Zisserman, Very Deep Convolutional Networks, arXiv:1409.1556; Ioffe and Szegedy, Batch
    Normalization, arXiv:1502.03167; Lin et al., Network In Network, arXiv:1312.4400.
    """
    inputs = keras.Input(image_shape, name="normalized")
    x = inputs
    for block, channels in enumerate(filters):
        if block:
            x = layers.MaxPooling2D(name=f"pool{block}")(x)
        for convolution in "ab":
            name = f"block{block + 1}{convolution}"
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
            x = layers.BatchNormalization(name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(dropout, name="drop_features")(x)
    x = layers.Dense(filters[-1], activation="relu", name="hidden")(x)
    x = layers.Dropout(dropout, name="drop_hidden")(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="cnn")
