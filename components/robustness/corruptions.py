"""The fifteen corruptions of MNIST-C, and a classifier's accuracy under each.

Mu and Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, arXiv:1906.02337. The paper has one severity a
corruption and gives its figure in code alone (google-research/mnist-c, `corruptions.py`); each function here states it.
All are written anew on whole batches, so that they follow the published data in distribution, not bit by bit.
Lengths in pixels are those for 28 x 28 and stay the same for other sizes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import feature, transform

from components import progress

Corruption = Callable[[np.ndarray, np.random.Generator], np.ndarray]

SMALLEST = 8  # pixels a side; less than that would have no room for a zigzag, nor for a translation


def shot_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Counts photons: each pixel is a Poisson variable, of mean 3 at full brightness (severity 5)."""
    photons = 3
    return _pixels(rng.poisson(_levels(images) * photons) / photons)


def impulse_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sets 17 % of all values (severity 4) to black or to white, at even odds."""
    hit = rng.random(images.shape, np.float32)
    return np.where(hit < 0.17, np.where(hit < 0.17 / 2, np.uint8(0), np.uint8(255)), images)


def glass_blur(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurs, swaps neighbouring pixels, blurs again: sigma 0.7 pixels, distance 1, two rounds (severity 1).

    Each pixel in turn, from the lower right, changes places at even odds with the one 0 or 1 above and left of it.
    Where this departs: the published code blurs along columns alone, for it takes those of a grey image for channels.
    """
    sigma, distance, rounds = 0.7, 1, 2
    count, height, width, _ = images.shape
    blurred = _blur(_levels(images), sigma)
    every = np.arange(count)
    for _ in range(rounds):
        for row in range(height - distance, distance, -1):
            for column in range(width - distance, distance, -1):
                swap = rng.integers(0, 2, count)
                up, left = swap * rng.integers(0, distance + 1, (2, count))
                other = blurred[every, row - up, column - left]
                blurred[every, row - up, column - left] = blurred[:, row, column]
                blurred[:, row, column] = other
    return _pixels(_blur(blurred, sigma))


def motion_blur(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drags each image along a line: half a Gaussian of sigma 3 pixels, at most 45 degrees off level (severity 1).

    As ImageMagick does it, which made the published data: its radius of 10 is 21 samples, at whole pixels; outside, the
    border goes on.
    """
    radius, sigma = 10, 3.0
    count, height, width, _ = images.shape
    angle = rng.uniform(-np.pi / 4, np.pi / 4, count)
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    levels, result = _levels(images), np.zeros(images.shape, np.float32)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down, right = (np.rint(step * part(angle)).astype(int)[:, None] for part in (np.sin, np.cos))
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + right, 0, width - 1)
        result += np.float32(weight) * levels[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return _pixels(result)


def shear(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shears to the left or to the right by 0.4 rad about the centre (severity 2).

    The matrix is that of the scikit-image of the time, whose shear also lengthens by 1 / cos(0.4).
    """
    angle = 0.4
    return _warp_either_way(images, rng, lambda sign: np.array([[1, -np.sin(sign * angle)], [0, np.cos(sign * angle)]]))


def scale(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrinks to 0.7 of the size about the centre (severity 3)."""
    del rng
    return _pixels(_warp(_levels(images), np.eye(2) / 0.7))


def rotate(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns by 0.4 rad about the centre, one way or the other (severity 2)."""
    angle = 0.4
    cos, sin = np.cos(angle), np.sin(angle)
    return _warp_either_way(images, rng, lambda sign: np.array([[cos, -sign * sin], [sign * sin, cos]]))


def brightness(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds 0.5 of full brightness to the value of each pixel (V of HSV), up to full (severity 5)."""
    del rng
    levels = _levels(images)
    value = levels.max(axis=-1, keepdims=True)
    brighter = np.minimum(value + 0.5, 1)
    # Hue and saturation stay if the channels keep their proportions; black has neither and becomes grey.
    return _pixels(np.where(value > 0, levels * (brighter / np.maximum(value, 1 / 255)), brighter))


def translate(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moves by 3 pixels up or down, and by 3 left or right (severity 3); black comes in."""
    distance = 3
    _, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (distance, distance), (distance, distance), (0, 0)))
    result = np.empty_like(images)
    down, right = rng.integers(0, 2, (2, len(images))) * 2 * distance
    for top in (0, 2 * distance):
        for left in (0, 2 * distance):
            chosen = (down == top) & (right == left)
            result[chosen] = padded[chosen, top : top + height, left : left + width]
    return result


def stripe(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Inverts the left and the right quarter: columns 0 to 6 and 21 to 27 of 28."""
    del rng
    width = images.shape[2]
    column = np.arange(width)[:, None]
    return np.where((column < width // 4) | (column >= width - width // 4), 255 - images, images)


def fog(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lays a cloud three times as bright as full over each image, then dims it to the range it had (severity 5).

    The cloud is plasma by the diamond-square algorithm on a map of 256 x 256, the roughness falling by 1.4 twice over
    from each grid to the next finer; the image sees the map's corner, around the one point that is fixed.
    Where this departs: one map serves four images, one for each quadrant around that point. They are alike in
    distribution, for the map is periodic.
    """
    thickness, decay, most_maps = 3.0, 1.4, 64
    count, height, width, _ = images.shape
    size = max(256, 1 << (max(height, width) - 1).bit_length())
    clouds = np.empty((count, height, width, 1), np.float32)
    for start in range(0, count, 4 * most_maps):
        part = clouds[start : start + 4 * most_maps, ..., 0]
        maps = _plasma(-(-len(part) // 4), size, decay, rng)
        for quadrant, (down, across) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)]):
            rows, columns = down * np.arange(height), across * np.arange(width)
            seen = part[quadrant::4]
            seen[:] = maps[: len(seen), rows[:, None], columns]
    levels = _levels(images)
    brightest = levels.max(axis=(1, 2, 3), keepdims=True)
    return _pixels((levels + thickness * clouds) * brightest / (brightest + thickness))


def spatter(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Throws mud of grey level 63, opaque to all channels (severity 4).

    Noise of mean 0.65 and standard deviation 0.3 is blurred (sigma 1); where it exceeds 0.65 there is mud, blurred in
    its turn (sigma 1.5), of which what is thinner than 0.8 runs off.
    """
    noise = rng.normal(0.65, 0.3, (*images.shape[:3], 1)).astype(np.float32)
    mud = _blur((_blur(noise, 1) > 0.65).astype(np.float32), 1.5)
    mud[mud < 0.8] = 0
    return _pixels(_levels(images) * (1 - mud) + 63 / 255 * mud)


def dotted_line(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a line from the left edge to the right, between any two heights, in dashes of two columns."""
    count, height, width, _ = images.shape
    start, end = rng.integers(0, height - 1, (2, count, 1, 1))
    row, column = np.ogrid[:height, :width]
    line = _stroke(row - (start + (end - start) * column / (width - 1)))
    dashes = (column % 4 >= 2) & (column < width - 1)
    return _draw(images, line * dashes)


def zigzag(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws a zigzag of amplitude 2 and period 8 pixels, from 2 pixels off the left edge to 2 off the right.

    It starts at any height and climbs or falls by at most 5. Where this departs: the line is one wave along its axis,
    instead of segments whose overlaps add up; it ends where its axis does.
    """
    amplitude, period, margin = 2, 8, 2
    count, height, width, _ = images.shape
    start = rng.integers(0, height - 1, (count, 1, 1))
    climb = rng.integers(-5, 5, (count, 1, 1))
    slope = climb / (width - 1 - 2 * margin)
    cos, sin = 1 / np.hypot(1, slope), slope / np.hypot(1, slope)
    row, column = np.ogrid[:height, :width]
    along = cos * (column - margin) + sin * (row - start)
    across = cos * (row - start) - sin * (column - margin)
    # Up from 0 to the amplitude in a quarter of a period, down to its negative in the next two.
    wave = amplitude * (1 - np.abs((along / period * 4 + 1) % 4 - 2))
    length = np.hypot(width - 1 - 2 * margin, climb)
    return _draw(images, _stroke(across - wave) * ((along >= 0) & (along <= length)))


def canny_edges(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keeps the edges alone, white on black, by Canny's detector: sigma 1, thresholds 0.1 and 0.2.

    Those are scikit-image's own values, which the paper took. Edges are those of the mean of the channels.
    """
    del rng
    sigma, gap = 1.0, 3
    _, height, width, _ = images.shape
    # One tall image for one call. Two gaps are wider than the Gaussian reaches, and the mask gives them no say.
    margins = ((0, 0), (gap, gap), (0, 0))
    tall = np.pad(_levels(images).mean(axis=-1), margins)
    mask = np.pad(np.ones(images.shape[:3], bool), margins)
    edges = feature.canny(tall.reshape(-1, width), sigma, 0.1, 0.2, mask.reshape(-1, width)).reshape(tall.shape)
    edges = edges[:, gap : gap + height, :, None] * np.uint8(255)
    return np.broadcast_to(edges, images.shape).copy()


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}


@dataclass(frozen=True)
class Robustness:
    """A classifier's accuracy on corrupted images, each in 0..1.

    Attributes:
      clean: on the images as they are.
      accuracy: by corruption, in the order of `CORRUPTIONS`.
    """

    clean: float
    accuracy: dict[str, float]

    @property
    def mean(self) -> float:
        """The mean over the corruptions."""
        return float(np.mean(list(self.accuracy.values())))

    @property
    def worst(self) -> tuple[str, float]:
        """The corruption that costs most, and the accuracy under it."""
        return min(self.accuracy.items(), key=lambda item: item[1])


def evaluate(
    classify: Callable[[np.ndarray], np.ndarray], images: np.ndarray, labels: np.ndarray, seed: int
) -> Robustness:
    """Measures a classifier under every corruption.

    Args:
      classify: from uint8 [N, height, width, channels] to the classes, int [N].
      images: uint8 [N, height, width, channels], in 0..255, bright ink on black; height and width at least 8.
      labels: int [N].
      seed: of the corruptions. Each draws from a generator of its own, so that none depends on those before it.

    Raises:
      ValueError: there is no image, or the images are too small or of another type, or not as many as the labels.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or min(images.shape[1:3]) < SMALLEST or not len(images):
        raise ValueError(
            f"Expected at least one image, uint8 [N, height, width, channels] of {SMALLEST} pixels or more a side; "
            f"got {images.dtype} {list(images.shape)}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"Expected a label for each of {len(images)} images, got labels of shape {labels.shape}.")
    clean = float(np.mean(classify(images) == labels))
    accuracy: dict[str, float] = {}
    for number, (name, corrupt) in enumerate(CORRUPTIONS.items()):
        rng = np.random.default_rng([seed, number])
        accuracy[name] = float(np.mean(classify(corrupt(images, rng)) == labels))
        progress.report(f"corruption {number + 1} of {len(CORRUPTIONS)}: {accuracy[name]:.2%} under {name}")
    robustness = Robustness(clean, accuracy)
    worst, least = robustness.worst
    progress.report(f"{clean:.2%} clean, {robustness.mean:.2%} corrupted; worst {worst}, {least:.2%}")
    return robustness


def _levels(images: np.ndarray) -> np.ndarray:
    """Returns uint8 pixels as float32 in 0..1."""
    return images.astype(np.float32) / 255


def _pixels(levels: np.ndarray) -> np.ndarray:
    """Returns levels as uint8 pixels, rounded, and clipped to 0..1 before."""
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def _blur(levels: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(levels, (0, sigma, sigma, 0), mode="nearest")


def _warp(levels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Samples images at where a matrix puts each pixel's (x, y), seen from the centre; linearly, black outside."""
    count, height, width, channels = levels.shape
    centre = np.array([width - 1, height - 1]) / 2
    inverse = np.eye(3)
    inverse[:2, :2] = matrix
    inverse[:2, 2] = centre - matrix @ centre
    # To scikit-image the batch is one image of many channels.
    stacked = np.moveaxis(levels, 0, 2).reshape(height, width, count * channels)
    warped = transform.warp(stacked, inverse, order=1).reshape(height, width, count, channels)
    return np.moveaxis(warped, 2, 0)


def _warp_either_way(images: np.ndarray, rng: np.random.Generator, matrix: Callable[[int], np.ndarray]) -> np.ndarray:
    """Warps each image by `matrix(1)` or `matrix(-1)`, at even odds."""
    signs = rng.choice((-1, 1), len(images))
    levels, result = _levels(images), np.empty_like(images)
    for sign in (-1, 1):
        chosen = signs == sign
        if chosen.any():
            result[chosen] = _pixels(_warp(levels[chosen], matrix(sign)))
    return result


def _plasma(count: int, size: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """Returns periodic height maps by the diamond-square algorithm, float32 [count, size, size] in 0..1."""
    maps = np.zeros((count, size, size), np.float32)

    def displaced(neighbours: np.ndarray, roughness: float) -> np.ndarray:
        return neighbours / 4 + roughness**2 * rng.uniform(-1, 1, neighbours.shape).astype(np.float32)

    step, roughness = size, 1.0
    while step > 1:
        half = step // 2
        corners, centres = maps[:, ::step, ::step], maps[:, half::step, half::step]
        right, below = np.roll(corners, -1, axis=2), np.roll(corners, -1, axis=1)
        centres[:] = displaced(corners + right + below + np.roll(right, -1, axis=1), roughness)
        left, above = np.roll(centres, 1, axis=2), np.roll(centres, 1, axis=1)
        maps[:, ::step, half::step] = displaced(corners + right + centres + above, roughness)
        maps[:, half::step, ::step] = displaced(corners + below + centres + left, roughness)
        step, roughness = half, roughness / decay
    maps -= maps.min(axis=(1, 2), keepdims=True)
    return maps / maps.max(axis=(1, 2), keepdims=True)


def _stroke(distance: np.ndarray) -> np.ndarray:
    """Returns a stroke's brightness at some distance from its middle: full there, fading to none at 1.45 pixels."""
    return np.clip(1 + np.log1p(-np.minimum(np.abs(distance), 2.2) / 2.3), 0, 1)


def _draw(images: np.ndarray, stroke: np.ndarray) -> np.ndarray:
    """Adds white strokes, float [N, height, width] in 0..1."""
    return _pixels(_levels(images) + stroke[..., None])
