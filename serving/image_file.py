"""Pictures from outside - photographs, scans, drawings - read into arrays of bounded size, and fitted to a model."""

import os
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Raster formats that Pillow decodes by itself. Others run programs (EPS runs Ghostscript) or hold no picture.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 52_000_000  # photographs of 50-megapixel cameras fit: 8192 x 6144 = 50.3 million
MAX_SIDE = 2048  # the longer side of what is handed on

_MODES = {1: "L", 3: "RGB"}
_FULL_SCALES = (1, 255, 65535)  # white, in pictures of floats or of 32-bit integers
_SOLID = 0.9  # of the highest alpha: such pixels show their own colour, not what is behind them
_ONE_TONE = 64  # grey levels within which ink counts as of one tone
_SMALLER = "Make it smaller."


class ImageFileError(ValueError):
    """The source is no picture that can be used; the message says why and what to do."""


def read(source: str | os.PathLike[str] | bytes | BinaryIO, channels: Literal[1, 3] = 1) -> np.ndarray:
    """Reads one picture as a viewer would show it.

    EXIF orientation is applied. Depths over 8 bits are scaled, not cut. Transparent parts are filled so that what is
    drawn stands out, whether the ink is dark or light. A side over `MAX_SIDE` is reduced to it, aspect ratio kept.

    Args:
      source: a path, the bytes of a file, or a binary file object.
      channels: 1 for grey (ITU-R 601 luma), 3 for RGB.

    Returns:
      `uint8` of shape [height, width] for 1 channel, [height, width, 3] for 3, in 0..255, longer side <= `MAX_SIDE`.

    Raises:
      ImageFileError: the source cannot be read, is empty, over `MAX_BYTES` or `MAX_PIXELS`, in none of `FORMATS`,
        damaged, or animated. Nothing is decoded before the bounds are checked.
    """
    if channels not in _MODES:
        raise ValueError(f"Expected channels to be 1 (grey) or 3 (RGB), got {channels!r}.")
    content, name = _content(source)
    try:
        # Pillow's own bound is looser than ours, and a warning in place of an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageFileError(
            f"{name} is no picture that can be read: expected one of {', '.join(FORMATS)}, got "
            f"{len(content)} bytes that start with {content[:8]!r}. Save it as PNG or JPEG."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageFileError(f"{name} is too large: {error} {_SMALLER}") from error
    except Exception as error:  # a damaged header fails anywhere: struct.error, SyntaxError, KeyError, ...
        raise _damaged(name, error) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageFileError(
                f"{name} is too large: expected at most {MAX_PIXELS:,} pixels, got {image.width} x {image.height}. "
                + _SMALLER
            )
        try:
            # A camera's MPO file is a JPEG with previews behind the photograph; other frames are pages or an animation.
            animated = image.format != "MPO" and getattr(image, "is_animated", False)
            pixels = None if animated else _decode(image, channels)
        except Exception as error:  # the decoders raise OSError, ValueError, SyntaxError, EOFError, zlib.error, ...
            raise _damaged(name, error) from error
    if pixels is None:
        raise ImageFileError(f"{name} has more than one frame: expected a single picture. Pass one frame of it.")
    return pixels


def fit(image: np.ndarray, shape: tuple[int, int, int], how: Literal["crop", "pad"] = "crop") -> np.ndarray:
    """Brings a picture to a model's input as image classifiers do: aspect ratio kept, anti-aliased, centred.

    Polarity and contrast stay as they are; `serving.digits` prepares digits.

    Args:
      image: `uint8` of shape [height, width], [height, width, 1] or [height, width, 3].
      shape: the model's (height, width, channels), channels 1 or 3; grey is repeated, RGB becomes ITU-R 601 luma.
      how: `crop` fills the shape and cuts what is over; `pad` shows the whole picture, with 0 around it.

    Returns:
      `uint8` of the given shape, in 0..255.

    Raises:
      ValueError: image or shape is none of these.
    """
    height, width, channels = shape
    if channels not in _MODES:
        raise ValueError(f"Expected a shape with 1 or 3 channels, got {shape}: this model takes no picture.")
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if image.dtype != np.uint8 or not image.size or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"Expected uint8 [height, width] or [height, width, 1 or 3], got {image.dtype} {list(image.shape)}. "
            "Use serving.image_file.read()."
        )
    picture = Image.fromarray(image.reshape(image.shape[:2]) if grey else image).convert(_MODES[channels])
    method = {"crop": ImageOps.fit, "pad": ImageOps.pad}[how]
    return np.asarray(method(picture, (width, height), Image.Resampling.BICUBIC)).reshape(shape)


def _damaged(name: str, error: Exception) -> ImageFileError:
    return ImageFileError(f"{name} is damaged or cut off: expected a whole picture, got '{error}'. Save it again.")


def _content(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[bytes, str]:
    """Returns the bytes, of which there are some and not too many, and how messages call the source."""
    name = "The picture"
    if isinstance(source, bytes):
        content = source
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            with Path(source).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise ImageFileError(f"{name} does not exist: expected an image file. Check the path.") from error
        except IsADirectoryError as error:
            raise ImageFileError(f"{name} is a directory: expected one image file. Pass a file in it.") from error
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            raise ImageFileError(f"Cannot read {name}: {error}. Pass an image file that can be read.") from error
    else:
        content = source.read(MAX_BYTES + 1)
    if not content:
        raise ImageFileError(f"{name} is empty: expected an image file, got 0 bytes.")
    if len(content) > MAX_BYTES:
        raise ImageFileError(f"{name} is too large: expected at most {MAX_BYTES:,} bytes, got more. {_SMALLER}")
    return content, name


def _decode(image: Image.Image, channels: Literal[1, 3]) -> np.ndarray:
    mode = _MODES[channels]
    # A JPEG is decoded at 1/2, 1/4 or 1/8 of its size right away, as long as that is no smaller than what is wanted.
    width, height = (max(1, side * MAX_SIDE // max(image.size)) for side in image.size)
    image.draft(mode, (width, height))
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode not in ("I", "F"):
        image = image.convert("RGBA" if image.has_transparency_data else mode)
    image.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
    if image.mode in ("I", "F"):
        image = _eight_bits(image)
    elif image.mode == "RGBA":
        image = _on_backdrop(image)
    return np.asarray(image.convert(mode))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scales 32-bit pixels to 0..255 from the usual full scale that holds them, or else from end to end."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    full = next((scale for scale in _FULL_SCALES if high <= scale), None) if low >= 0 else None
    if full is None:
        values, full = values - low, (high - low) or 1
    return Image.fromarray((values * (255 / full)).round().astype(np.uint8))


def _on_backdrop(image: Image.Image) -> Image.Image:
    """Puts a picture with transparency on a plain backdrop against which what is drawn can be seen.

    Ink of one tone on nothing: its shape is in the alpha alone, so the backdrop is what it is not, white or black.
    Ink and paper, with holes or round corners: the backdrop goes on with the paper, which is most of it.
    """
    grey, alpha = np.asarray(image.convert("L")), np.asarray(image.getchannel("A"))
    tones = grey[alpha >= max(_SOLID * alpha.max(), 1)]
    if not tones.size:
        backdrop = 255
    elif np.ptp(tones) < _ONE_TONE:
        backdrop = 255 if tones.mean() < 128 else 0
    else:
        backdrop = int(np.median(tones))
    paper = Image.new("RGBA", image.size, (backdrop, backdrop, backdrop, 255))
    return Image.alpha_composite(paper, image)
