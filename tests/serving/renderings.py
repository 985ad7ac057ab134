"""A test set of our own making: digits drawn with fonts and with a shaky pen, in the conditions that pictures come in.

Fonts are those inside matplotlib; nothing here comes from MNIST. Everything follows from the seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Italic", "Bol", "BolIta")),
    *("cmr10", "cmss10", "cmtt10", "cmb10"),
)
SIDE = 240  # of a picture, in pixels


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points on an ellipse from one angle to another, in degrees, clockwise from three o'clock."""
    angles = np.radians(np.linspace(start, end, 20))
    return list(zip(x + rx * np.cos(angles), y + ry * np.sin(angles), strict=True))


# Strokes of a shaky pen as points (x, y), y down, in a box of 1 x 1.
PEN: dict[int, list[list[tuple[float, float]]]] = {
    0: [_arc(0.5, 0.5, 0.32, 0.48, -90, 270)],
    1: [[(0.35, 0.2), (0.55, 0.02), (0.52, 0.98)]],
    2: [[*_arc(0.5, 0.28, 0.3, 0.26, -170, 40), (0.18, 0.97), (0.85, 0.95)]],
    3: [[*_arc(0.48, 0.26, 0.28, 0.24, -150, 90), *_arc(0.46, 0.73, 0.34, 0.25, -90, 150)]],
    4: [[(0.4, 0.02), (0.12, 0.6), (0.88, 0.6)], [(0.68, 0.3), (0.64, 0.98)]],
    5: [[(0.28, 0.05), (0.25, 0.42), *_arc(0.48, 0.68, 0.33, 0.29, -110, 140)], [(0.27, 0.05), (0.8, 0.04)]],
    6: [[(0.68, 0.03), (0.35, 0.4), *_arc(0.5, 0.7, 0.28, 0.27, 180, -180)]],
    7: [[(0.15, 0.06), (0.85, 0.05), (0.42, 0.98)]],
    8: [[*_arc(0.5, 0.25, 0.25, 0.23, 90, -270), *_arc(0.5, 0.73, 0.31, 0.25, -90, 270)]],
    9: [[*_arc(0.5, 0.28, 0.27, 0.26, 0, -360), (0.76, 0.3), (0.66, 0.98)]],
}


@dataclass(frozen=True)
class Rendering:
    """A picture (uint8 [height, width]) of one digit, and the condition, a key of `CONDITIONS`, that it comes in."""

    picture: np.ndarray
    digit: int
    condition: str


def font_paths() -> list[Path]:
    """Returns the font files that matplotlib ships, those of `FONTS`."""
    return [Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf" for name in FONTS]


def typed(digit: int | str, font: Path, height: int = 120) -> Image.Image:
    """Returns digits in a font: mode L, ink 255 on 0, cropped to the ink."""
    face = ImageFont.truetype(str(font), round(height * 1.35))
    sheet = Image.new("L", (height * 2 * len(str(digit)), height * 3))
    ImageDraw.Draw(sheet).text((height // 2, height // 2), str(digit), 255, font=face)
    return sheet.crop(sheet.getbbox())


def drawn(digit: int, rng: np.random.Generator, width: int = 9, height: int = 120) -> Image.Image:
    """Returns a digit drawn with a shaky pen: mode L, ink 255 on 0, cropped to the ink."""
    zoom = 4  # for smooth edges
    slant, stretch = rng.uniform(-0.25, 0.25), rng.uniform(0.7, 1.1)
    sheet = Image.new("L", (height * 2 * zoom, height * 2 * zoom))
    pen = ImageDraw.Draw(sheet)
    for stroke in PEN[digit]:
        points = np.array(stroke) + rng.normal(0, 0.012, (len(stroke), 2))
        x = (points[:, 0] - 0.5) * stretch + slant * (0.5 - points[:, 1])
        line = np.stack([x + 1, points[:, 1] + 0.5], 1) * height * zoom
        pen.line([tuple(point) for point in line], 255, width * zoom, joint="curve")
        for left, top in line - width * zoom / 2:
            pen.ellipse((left, top, left + width * zoom, top + width * zoom), 255)
    sheet = sheet.reduce(zoom)
    return sheet.crop(sheet.getbbox())


def place(ink: Image.Image, side: int, left: int, top: int) -> Image.Image:
    """Returns a square of 0 with the ink in it."""
    sheet = Image.new("L", (side, side))
    sheet.paste(ink, (left, top))
    return sheet


def _centred(ink: Image.Image, side: int = SIDE) -> Image.Image:
    return place(ink, side, (side - ink.width) // 2, (side - ink.height) // 2)


def on_paper(sheet: Image.Image, ink: int = 20, paper: int = 250) -> np.ndarray:
    """Returns the sheet's ink (255 on 0) in other grey levels: dark on bright by default."""
    coverage = np.asarray(sheet, np.float32) / 255
    return np.round(paper + (ink - paper) * coverage).astype(np.uint8)


def _thin(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Draws the middle line of the strokes with a fine pen: 3 of 240 pixels, about a quarter of MNIST's strokes."""
    body = _centred(ink.resize((ink.width * 2, ink.height * 2), Image.Resampling.BICUBIC), SIDE * 2)
    body = body.point(lambda level: 255 * (level > 127))
    middle = Image.new("L", body.size)
    # Lantuéjoul's skeleton: what opening takes away from each erosion.
    while body.getbbox():
        eroded = body.filter(ImageFilter.MinFilter(3))
        opened = eroded.filter(ImageFilter.MaxFilter(3))
        middle = ImageChops.lighter(middle, ImageChops.subtract(body, opened))
        body = eroded
    return on_paper(middle.filter(ImageFilter.MaxFilter(3)))


def _thick(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    return on_paper(_centred(ink).filter(ImageFilter.MaxFilter(9)))


def photographed(coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Takes a picture of ink (255 on 0): light from one side, tinted paper, vignette, blur, noise, JPEG."""
    height, width = coverage.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + 0.35 * (x * np.cos(angle) + y * np.sin(angle)) - 0.12 * (x**2 + y**2)
    paper = np.array([rng.uniform(150, 190), rng.uniform(140, 180), rng.uniform(115, 160)])
    ink = np.array([45.0, 45.0, rng.uniform(50, 95)])
    share = coverage[..., None] / 255 * 0.9
    scene = (paper * (1 - share) + ink * share) * light[..., None]
    grain = Image.fromarray(scene.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
    noisy = np.asarray(grain, np.float32) + rng.normal(0, 6, scene.shape)
    file = BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=70)
    return np.asarray(Image.open(file).convert("L"))


def _photographed(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    return photographed(np.asarray(_centred(ink), np.float32), rng)


def _off_centre(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    side = SIDE * 3 // 2
    left, top = (int(rng.integers(0, side - size)) for size in ink.size)
    return on_paper(place(ink, side, left, top))


def _small(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    side = SIDE * 6
    left, top = (int(rng.integers(side // 8, side * 7 // 8 - size)) for size in ink.size)
    return on_paper(place(ink, side, left, top))


def _rotated(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    turned = _centred(ink).rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    return on_paper(turned)


def _cropped(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    return on_paper(ink)


def _ruled(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Writes on squared paper whose lines run through the digit, turned by half a degree at most."""
    sheet = Image.new("L", (SIDE * 2, SIDE * 2))
    for start in range(int(rng.integers(5, 40)), SIDE * 2, 40):
        ImageDraw.Draw(sheet).line((0, start, SIDE * 2, start), 110, 2)
        ImageDraw.Draw(sheet).line((start, 0, start, SIDE * 2), 110, 2)
    sheet = sheet.rotate(rng.uniform(-0.5, 0.5), Image.Resampling.BICUBIC)
    edge = SIDE // 2  # whose corners the rotation left without lines
    lines = sheet.crop((edge, edge, edge + SIDE, edge + SIDE))
    return photographed(np.asarray(ImageChops.lighter(lines, _centred(ink)), np.float32), rng)


def _shadowed(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Photographs with a hand's shadow over a part: its edge crosses the digit, the dark side has half the light."""
    picture = photographed(np.asarray(_centred(ink), np.float32), rng)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    depth = (x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)) / 0.06  # a soft edge, of 14 pixels
    return np.round(picture * (1 - 0.45 / (1 + np.exp(-depth)))).astype(np.uint8)


def _pencil(ink: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Photographs faint grey strokes."""
    return photographed(np.asarray(_centred(ink), np.float32) * 0.35, rng)


CONDITIONS: dict[str, Callable[[Image.Image, np.random.Generator], np.ndarray]] = {
    "plain": lambda ink, rng: on_paper(_centred(ink)),
    "thin": _thin,
    "thick": _thick,
    "inverted": lambda ink, rng: on_paper(_centred(ink), ink=235, paper=15),
    "photographed": _photographed,
    "off-centre": _off_centre,
    "small in a large picture": _small,
    "rotated": _rotated,
    "cropped to the ink": _cropped,
    "squared paper": _ruled,
    "in half a shadow": _shadowed,
    "faint pencil": _pencil,
}


def render(fonts: list[Path], hands: int = 0, seed: int = 0) -> Iterator[Rendering]:
    """Yields each digit of each font, and of each of some hands, in each condition.

    Args:
      fonts: font files.
      hands: how often each digit is drawn with the shaky pen, each time anew.
      seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    for digit in range(10):
        inks = [typed(digit, font) for font in fonts]
        inks += [drawn(digit, rng, width=int(rng.integers(5, 14))) for _ in range(hands)]
        for ink in inks:
            for condition, distort in CONDITIONS.items():
                yield Rendering(distort(ink, rng), digit, condition)
