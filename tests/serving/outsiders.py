"""Images of no digit: letters, blank sheets, noise, shapes as of clothing. Everything follows from the seed."""

import numpy as np
from PIL import Image, ImageDraw

from serving.digits import prepare
from tests.serving.renderings import font_paths, typed

# Letters that no digit looks like in any of the fonts.
LETTERS = "ACEFHJKLMNPRTUVWXYadefhjkmnprtuvwxy"
_SIDE = 28
_ZOOM = 4

GARMENTS = {
    "shirt": [[(32, 20), (14, 40), (24, 54), (34, 44), (34, 96), (78, 96), (78, 44), (88, 54), (98, 40), (80, 20)]],
    "trousers": [[(38, 14), (74, 14), (80, 98), (62, 98), (56, 44), (50, 98), (32, 98)]],
    "dress": [[(44, 14), (68, 14), (64, 44), (86, 98), (26, 98), (48, 44)]],
    "shoe": [[(16, 58), (44, 58), (60, 70), (96, 80), (96, 92), (16, 92)]],
    "bag": [
        [(20, 50), (92, 50), (86, 96), (26, 96)],
        [(38, 50), (42, 30), (70, 30), (74, 50), (68, 50), (66, 36), (46, 36)],
    ],
}


def letters() -> np.ndarray:
    """Every letter in every font that matplotlib ships, dark on white, prepared as digits are: uint8 [N, 28, 28]."""
    sheets = []
    for font in font_paths():
        for letter in LETTERS:
            ink = np.pad(np.asarray(typed(letter, font)), 40)
            sheets.append(prepare(255 - ink))
    return np.stack(sheets)


def blanks() -> np.ndarray:
    """Every grey level: uint8 [256, 28, 28]."""
    return np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, _SIDE, _SIDE)).copy()


def noise(count: int = 1000, seed: int = 0) -> np.ndarray:
    """Noise of any density: uint8 [N, 28, 28]."""
    rng = np.random.default_rng(seed)
    shape = (count, _SIDE, _SIDE)
    density = rng.uniform(0.05, 1, (count, 1, 1))
    return np.where(rng.random(shape) < density, rng.integers(0, 256, shape), 0).astype(np.uint8)


def garments(count: int = 1000, seed: int = 0) -> np.ndarray:
    """Filled silhouettes with a texture, as Fashion-MNIST shows clothes: uint8 [N, 28, 28]."""
    rng = np.random.default_rng(seed)
    outlines = list(GARMENTS.values())
    images = []
    for _ in range(count):
        sheet = Image.new("L", (_SIDE * _ZOOM, _SIDE * _ZOOM))
        pen = ImageDraw.Draw(sheet)
        stretch, shift = rng.uniform(0.8, 1.1, 2), rng.uniform(-6, 6, 2)
        for outline in outlines[rng.integers(len(outlines))]:
            pen.polygon([tuple((np.array(point) - 56) * stretch + 56 + shift) for point in outline], fill=255)
        silhouette = np.asarray(sheet.resize((_SIDE, _SIDE), Image.Resampling.BOX)) / 255
        texture = rng.uniform(90, 255) * (1 + 0.15 * rng.standard_normal((_SIDE, _SIDE)))
        images.append(np.clip(silhouette * texture, 0, 255).astype(np.uint8))
    return np.stack(images)


SETS = {"letters": letters, "blank": blanks, "noise": noise, "clothing-like shapes": garments}
