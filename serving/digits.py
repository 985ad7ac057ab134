"""Digits found in a picture and brought to the convention of MNIST, so that a model of MNIST can read them.

The convention: bright ink on 0; the longer side of the ink 20 pixels, aspect ratio kept, anti-aliased; the centre of
mass in the middle of 28 x 28. Sources: Y. LeCun, C. Cortes, C. J. C. Burges, THE MNIST DATABASE of handwritten digits;
Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 86,
1998, section III-A. In the files themselves the centre of mass is at index (14, 14), within half a pixel.
"""

from dataclasses import dataclass
from math import ceil

import cc3d
import numpy as np
from PIL import Image

SIDE = 28  # of a prepared digit
INK_SIDE = 20  # the longer side of its ink
CENTRE = 14  # the index of its centre of mass, down and across
MIN_STROKE = 2.4  # pixels at 28 x 28: half of MNIST's training digits have strokes between 2.1 and 3.0

_WORK_SIDE = 1024  # pictures are searched at no more than this
_SURFACE_SIDE = 64  # the light on the paper is fitted at no more than this,
_LOCAL_SIDE = 256  # and shadows are followed at no more than this
_PEN_SIDE = 160  # strokes are thickened with the digit's longer side brought to this
_FAR_OFF = 30.0  # grey levels from the background that make a pixel half as trusted
_MIN_CONTRAST = 20.0  # grey levels between ink and background
_MOST_PARTS = 500  # strokes in a picture; grouping them takes memory by their square
_NOISE = 5.0  # standard deviations of the background that are no ink


class NoInkError(ValueError):
    """There is nothing drawn or written in the picture."""


@dataclass(frozen=True)
class Digit:
    """One digit of a picture.

    Attributes:
      image: `uint8` of shape [28, 28], in MNIST's convention: ink up to 255 on 0.
      box: (left, top, right, bottom) of its ink in pixels of the picture; right and bottom are outside, as in Pillow.
    """

    image: np.ndarray
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Parts:
    """Connected strokes: `ids` [n] in `labels` [height, width], `boxes` [n, 4], in units of `scale` source pixels."""

    ink: np.ndarray
    threshold: float
    labels: np.ndarray
    ids: np.ndarray
    boxes: np.ndarray
    scale: int


def prepare(grey: np.ndarray) -> np.ndarray:
    """Brings a picture of one digit to MNIST's convention.

    Dark ink on bright paper and bright ink on dark are both taken; light and shadow on the paper are removed; specks,
    ruled lines and what comes in from the border are dropped; thin strokes are drawn thicker. A picture that follows
    the convention already is returned as it is.

    Args:
      grey: `uint8` of shape [height, width], any size.

    Returns:
      `uint8` of shape [28, 28]: the ink, at most 255, on 0.

    Raises:
      NoInkError: the picture is blank, or holds nothing but specks.
      ValueError: `grey` is no such array.
    """
    _check(grey)
    if _follows_convention(grey):
        return grey.copy()
    parts = _find(grey)
    if not len(parts.ids):
        raise NoInkError(
            f"Expected a picture of a digit, got {grey.shape[1]} x {grey.shape[0]} pixels without ink. "
            "Draw larger, or with more contrast."
        )
    return _normalise(_cut(parts, np.arange(len(parts.ids))))


def segment(grey: np.ndarray) -> list[Digit]:
    """Finds the digits of a picture, in reading order: line by line from the top, each from left to right.

    Strokes above each other with little between them are one digit; digits that touch each other are not told apart.

    Args:
      grey: `uint8` of shape [height, width], any size.

    Returns:
      The digits; none for a blank picture.

    Raises:
      ValueError: `grey` is no such array.
    """
    _check(grey)
    parts = _find(grey)
    digits = []
    height, width = grey.shape
    for group in _reading_order(_groups(parts.boxes), parts.boxes):
        left, top, right, bottom = (int(edge) * parts.scale for edge in _hull(parts.boxes[group]))
        box = (left, top, min(right, width), min(bottom, height))
        digits.append(Digit(_normalise(_cut(parts, group)), box))
    return digits


def _check(grey: np.ndarray) -> None:
    if grey.dtype != np.uint8 or grey.ndim != 2 or not grey.size:
        raise ValueError(
            f"Expected uint8 [height, width], got {grey.dtype} {list(grey.shape)}. Use serving.image_file.read()."
        )


def _follows_convention(grey: np.ndarray) -> bool:
    if grey.shape != (SIDE, SIDE) or not grey.any():
        return False
    left, top, right, bottom = _box(grey > 0)
    centred = np.abs(np.array(_centre_of_mass(grey)) - CENTRE).max() < 1
    return abs(max(right - left, bottom - top) - INK_SIDE) <= 1 and bool(centred)


def _find(grey: np.ndarray) -> _Parts:
    """Separates ink from background and splits it into connected strokes worth keeping."""
    scale = -(-max(grey.shape) // _WORK_SIDE)
    ink = _without_background(_reduced(grey, scale))
    threshold = _threshold(ink)
    mask = _without_lines(ink > threshold)
    labels = cc3d.connected_components(mask, connectivity=8)
    statistics = cc3d.statistics(labels, no_slice_conversion=True)
    edges = statistics["bounding_boxes"].astype(int)[1:]
    # cc3d names rows x and columns y.
    boxes = np.stack([edges[:, 2], edges[:, 0], edges[:, 3] + 1, edges[:, 1] + 1], 1)
    ids = _worth_keeping(boxes, mask.shape)
    return _Parts(ink, threshold, labels, ids + 1, boxes[ids], scale)


def _without_background(grey: np.ndarray) -> np.ndarray:
    """Returns how much each pixel stands out from the background around it: float32 grey levels, ink positive."""
    values = grey.astype(np.float32)
    coarse = _reduced(values, -(-max(grey.shape) // _SURFACE_SIDE))
    coefficients = _fit_surface(coarse)
    flat = values - _surface(coefficients, grey.shape)
    if (flat * flat * flat).sum() < 0:  # ink is what is far off the background, and here it is darker
        flat = -flat
    # The surface knows nothing of shadows. Opening finds them: it keeps what is wider, both ways, than a stroke can be.
    local = _reduced(flat, -(-max(grey.shape) // _LOCAL_SIDE))
    window = max(local.shape) // 3 | 1
    padded = np.pad(local, window)  # with background: a stroke that reaches the border ends there
    opened = _sliding(_sliding(padded, window, np.minimum), window, np.maximum)[window:-window, window:-window]
    return flat - np.asarray(Image.fromarray(opened.clip(0)).resize(grey.shape[::-1], Image.Resampling.BILINEAR))


def _fit_surface(values: np.ndarray) -> np.ndarray:
    """Fits the background by a surface of second order to which ink, far off it, means little (Cauchy's weights).

    A digit may cover half of its picture, but not of the frame: a plane through the frame is where the fit begins.
    """
    terms = np.stack([np.broadcast_to(term, values.shape).ravel() for term in _terms(values.shape)])
    everywhere = np.ones(values.shape, np.float32)
    frame = everywhere.copy()
    frame[1:-1, 1:-1] = 0
    coefficients = np.zeros(len(terms), np.float32)
    deviation = values - np.median(values[frame > 0])
    for among, order in [(frame, 1)] * 4 + [(everywhere, 3)] * 8 + [(everywhere, 6)] * 8:
        weighted = terms[:order] * (among / (_FAR_OFF**2 + deviation**2)).ravel()
        coefficients[:order] = np.linalg.lstsq(weighted @ terms[:order].T, weighted @ values.ravel(), rcond=None)[0]
        deviation = values - _surface(coefficients, values.shape)
    return coefficients


def _surface(coefficients: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    terms = zip(coefficients, _terms(shape), strict=True)
    return sum((coefficient * term for coefficient, term in terms), np.zeros(shape, np.float32))


def _terms(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    y, x = np.ix_(*(np.linspace(-1, 1, size, dtype=np.float32) for size in shape))
    return np.ones_like(y), x, y, x * x, x * y, y * y


def _threshold(ink: np.ndarray) -> float:
    """Returns the level over which a pixel is ink; infinite if there is none.

    Otsu's threshold wants two classes of like size, and ink can be one pixel in a thousand: it is taken in the
    surroundings of what stands out from noise.
    """
    # Neighbours differ by noise alone, but for edges; 0.95 is the median of such a difference at a deviation of 1.
    noise = np.median(np.abs(np.diff(ink, axis=1))) / 0.95 if ink.shape[1] > 1 else 0.0
    floor = max(_MIN_CONTRAST, _NOISE * noise)
    near = _dilate(ink > floor, max(3, max(ink.shape) // 50))
    return max(otsu(ink[near].clip(0, 255)), floor) if near.any() else float("inf")


def otsu(values: np.ndarray) -> float:
    """Returns the threshold that best splits grey levels in 0..255 into two classes.

    Source: N. Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9, 1979.
    """
    counts = np.bincount(values.astype(np.uint8).ravel(), minlength=256).astype(float)
    below, total = counts.cumsum(), counts.sum()
    mass = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass[-1] * below - total * mass) ** 2 / (below * (total - below))
    between = np.nan_to_num(between, posinf=0)
    return float(np.flatnonzero(between == between.max()).mean())


def _without_lines(mask: np.ndarray) -> np.ndarray:
    """Removes ruled lines: thin, from border to border, level within about a degree."""
    kept = mask
    for axis in (0, 1):
        thickness = max(3, mask.shape[axis] // 50)
        length = max(1, mask.shape[1 - axis] * 9 // 10)
        thin = mask & ~_open(mask, thickness, axis)
        kept = kept & ~(thin & _open(_widened(mask, thickness, axis), length, 1 - axis))
    # A digit cropped to its ink has strokes from border to border too, and others that end there.
    return kept if _on_border(kept) < 0.25 * _on_border(mask) else mask


def _on_border(mask: np.ndarray) -> int:
    return sum(int(edge.sum()) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))


def _worth_keeping(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the indices of the boxes that are neither specks nor what comes in from the border."""
    height, width = shape
    longer = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    kept = longer >= max(3, 0.015 * max(shape))
    inside = (boxes[:, 0] > 0) & (boxes[:, 1] > 0) & (boxes[:, 2] < width) & (boxes[:, 3] < height)
    inner = longer[kept & inside]
    if inner.size and inner.max() >= 0.06 * max(shape):
        # The edge of the paper, a finger, a shadow - unless it is of a size with the digits inside.
        kept &= inside | ((longer >= 0.5 * inner.max()) & (longer <= 1.5 * inner.max()))
    found = np.flatnonzero(kept & (longer >= 0.15 * longer[kept].max(initial=0)))
    return found[np.argsort(-longer[found], kind="stable")[:_MOST_PARTS]]


def _groups(boxes: np.ndarray) -> list[np.ndarray]:
    """Puts strokes together that make one digit: above each other, overlapping in x, with little between them."""
    left, top, right, bottom = boxes.T[:, :, None]
    overlap = np.minimum(right, right.T) - np.maximum(left, left.T)
    gap = np.maximum(top, top.T) - np.minimum(bottom, bottom.T)
    wide, high = right - left, bottom - top
    joined = (overlap >= 0.5 * np.minimum(wide, wide.T)) & (gap <= 0.2 * np.maximum(high, high.T))
    groups: list[np.ndarray] = []
    left_over = np.arange(len(boxes))
    while left_over.size:
        group = left_over[:1]
        while (grown := np.flatnonzero(joined[group].any(0))).size > group.size:
            group = grown
        groups.append(group)
        left_over = np.setdiff1d(left_over, group)
    return groups


def _reading_order(groups: list[np.ndarray], boxes: np.ndarray) -> list[np.ndarray]:
    """Sorts by lines, then from left to right; a digit is on a line if its middle is within the line's height."""
    hulls = [_hull(boxes[group]) for group in groups]
    order: list[int] = []
    left_over = sorted(range(len(groups)), key=lambda index: hulls[index][1])
    while left_over:
        # The tallest of those that begin in the upper half of the first one says how high the line is.
        first = hulls[left_over[0]]
        starting = [index for index in left_over if hulls[index][1] <= (first[1] + first[3]) / 2]
        bottom = max(hulls[index][3] for index in starting)
        line = [index for index in left_over if (hulls[index][1] + hulls[index][3]) / 2 <= bottom]
        order += sorted(line, key=lambda index: hulls[index][0])
        left_over = [index for index in left_over if index not in line]
    return [groups[index] for index in order]


def _hull(boxes: np.ndarray) -> np.ndarray:
    """Returns the box around boxes."""
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def _cut(parts: _Parts, group: np.ndarray) -> np.ndarray:
    """Returns some strokes with their soft edges, and nothing of what is beside them: float32 in 0..1."""
    edge = 2
    left, top, right, bottom = _hull(parts.boxes[group])
    window = np.s_[max(0, top - edge) : bottom + edge, max(0, left - edge) : right + edge]
    ink, mask = parts.ink[window], np.isin(parts.labels[window], parts.ids[group])
    faint, full = parts.threshold / 2, np.median(ink[mask])
    return np.clip((ink - faint) / (full - faint), 0, 1) * _dilate(mask, 2 * edge + 1)


def _normalise(ink: np.ndarray) -> np.ndarray:
    """Scales and centres ink (float32 [height, width] in 0..1) into uint8 [28, 28]."""
    ink = _thickened(_trimmed(ink))
    longer = max(ink.shape)
    # The shorter side may end within a pixel: rounded to whole ones, narrow digits would change their shape.
    rows, columns = (-(-INK_SIDE * side // longer) for side in ink.shape)
    bottom, right = (count * longer / INK_SIDE for count in (rows, columns))
    padded = np.pad(ink, ((0, ceil(bottom) - ink.shape[0]), (0, ceil(right) - ink.shape[1])))
    picture = Image.fromarray(padded).resize((columns, rows), Image.Resampling.HAMMING, (0, 0, right, bottom))
    small = np.asarray(picture).clip(0, 1)
    top, left = (
        int(np.clip(round(CENTRE - centre), 0, SIDE - side))
        for centre, side in zip(_centre_of_mass(small), small.shape, strict=True)
    )
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    canvas[top : top + rows, left : left + columns] = np.round(small * (255 / small.max()))
    return canvas


def _trimmed(ink: np.ndarray) -> np.ndarray:
    left, top, right, bottom = _box(ink > 0.25)
    return ink[top:bottom, left:right]


def _thickened(ink: np.ndarray) -> np.ndarray:
    """Draws strokes again with a round pen, so that they are `MIN_STROKE` wide at 28 x 28, if they are thinner."""
    side = max(ink.shape)
    radius = (MIN_STROKE * side - INK_SIDE * _stroke_width(ink > 0.5)) / (2 * (INK_SIDE - MIN_STROKE))
    if radius <= 0:
        return ink
    block = max(1, side // _PEN_SIDE)
    height, width = (-(-size // block) for size in ink.shape)
    padded = np.pad(ink, ((0, height * block - ink.shape[0]), (0, width * block - ink.shape[1])))
    # The maximum of a block, unlike its mean, keeps a hair as dark as it is.
    pooled = padded.reshape(height, block, width, block).max((1, 3))
    zoom = _PEN_SIDE / max(height, width)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    radius *= _PEN_SIDE / side
    margin = int(radius) + 2
    fine = np.pad(np.asarray(Image.fromarray(pooled).resize(size, Image.Resampling.BICUBIC)) > 0.5, margin)
    y, x = (np.minimum(np.arange(size), size - np.arange(size)) for size in fine.shape)
    pen = y[:, None] ** 2 + x**2 <= radius**2
    drawn = np.fft.irfft2(np.fft.rfft2(fine) * np.fft.rfft2(pen), fine.shape) > 0.5
    return _trimmed(drawn.astype(np.float32))


def _stroke_width(mask: np.ndarray) -> float:
    """Returns the mean width of strokes: twice the area over the length of the outline."""
    padded = np.pad(mask, 1)
    # Steps along rows and columns overstate an outline of all directions by 4/pi.
    outline = (np.diff(padded, axis=0).sum() + np.diff(padded, axis=1).sum()) * np.pi / 4
    return float(2 * mask.sum() / outline)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    """Returns (down, across) in indices."""
    rows, columns = image.sum(1, dtype=float), image.sum(0, dtype=float)
    return (
        float(rows @ np.arange(len(rows)) / rows.sum()),
        float(columns @ np.arange(len(columns)) / columns.sum()),
    )


def _reduced(values: np.ndarray, factor: int) -> np.ndarray:
    return values if factor == 1 else np.asarray(Image.fromarray(values).reduce(factor))


def _sliding(values: np.ndarray, window: int, extreme: np.ufunc) -> np.ndarray:
    """Returns the extreme in the square window around each pixel; the border is continued outwards."""
    for axis in (0, 1):
        lines = np.moveaxis(_continued(values, window, axis), axis, 0)
        span = 1
        while span < window:  # the extreme of a span and of one that begins within it is that of both
            step = min(span, window - span)
            lines = extreme(lines[:-step], lines[step:])
            span += step
        values = np.moveaxis(lines, 0, axis)
    return values


def _widened(mask: np.ndarray, window: int, axis: int) -> np.ndarray:
    return _count(mask, window, axis) > 0


def _dilate(mask: np.ndarray, window: int) -> np.ndarray:
    return _widened(_widened(mask, window, 0), window, 1)


def _open(mask: np.ndarray, window: int, axis: int) -> np.ndarray:
    """Keeps runs along an axis that are at least a window long."""
    window |= 1
    return _widened(_count(mask, window, axis) == window, window, axis)


def _count(mask: np.ndarray, window: int, axis: int) -> np.ndarray:
    """Returns how many pixels are set in the window around each, along an axis; the border is continued outwards."""
    sums = np.moveaxis(_continued(mask, window, axis), axis, 0).cumsum(0, dtype=np.int32)
    counts = sums[window - 1 :].copy()
    counts[1:] -= sums[:-window]
    return np.moveaxis(counts, 0, axis)


def _continued(values: np.ndarray, window: int, axis: int) -> np.ndarray:
    widths = [(0, 0), (0, 0)]
    widths[axis] = (window // 2, window - window // 2 - 1)
    return np.pad(values, widths, mode="edge")
