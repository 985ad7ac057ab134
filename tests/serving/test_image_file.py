"""Pictures of every kind are read as a viewer shows them, and what is no picture, or too much of one, is refused."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving import image_file
from serving.image_file import ImageFileError, fit, read

TONES = np.array([[0, 255, 255], [0, 0, 128]], np.uint8)


def encoded(picture: Image.Image | np.ndarray, file_format: str = "PNG", **options: object) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        *(("L", name) for name in ("PNG", "BMP", "PPM", "TIFF")),
        *((mode, "PNG") for mode in ("RGB", "LA", "RGBA", "P")),
        *(("CMYK", "TIFF"), ("P", "GIF"), ("RGB", "WEBP")),
    ],
)
def test_every_mode_gives_the_same_grey(mode: str, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    pixels = read(encoded(Image.fromarray(TONES).convert(mode), file_format, **options))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, TONES)


def test_a_1_bit_picture_is_black_and_white() -> None:
    np.testing.assert_array_equal(read(encoded(Image.fromarray(TONES > 0))), (TONES > 0) * 255)


def test_colour_becomes_luma_or_stays() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(read(encoded(colours)), [[76, 150, 29]])  # 0.299, 0.587 and 0.114 of 255
    np.testing.assert_array_equal(read(encoded(colours), channels=3), colours)
    np.testing.assert_array_equal(read(encoded(TONES), channels=3), np.repeat(TONES[..., None], 3, 2))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_not_cut(file_format: str) -> None:
    deep = np.array([[0, 0x0101, 0x8080, 0xFFFF]], np.uint16)
    np.testing.assert_array_equal(read(encoded(deep, file_format)), [[0, 1, 128, 255]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [[0, 128, 255]]),
        (np.array([[0, 100, 200]], np.float32), [[0, 100, 200]]),
        (np.array([[0, 32896, 65535]], np.int32), [[0, 128, 255]]),
        (np.array([[-1000, 0, 1000]], np.int32), [[0, 128, 255]]),
        (np.array([[0, 50_000, 100_000]], np.int32), [[0, 128, 255]]),
        (np.array([[np.nan, 0.5, np.inf]], np.float32), [[0, 128, 0]]),
        (np.full((1, 3), -7, np.int32), [[0, 0, 0]]),
    ],
)
def test_32_bits_are_scaled_from_the_usual_range_or_their_own(values: np.ndarray, expected: list[list[int]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        np.testing.assert_array_equal(read(encoded(values, "TIFF")), expected)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, TONES),
        (2, TONES[:, ::-1]),
        (3, TONES[::-1, ::-1]),
        (4, TONES[::-1]),
        (5, TONES.T),
        (6, np.rot90(TONES)),
        (7, TONES[::-1, ::-1].T),
        (8, np.rot90(TONES, -1)),
    ],
)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_picture_is_turned_as_its_camera_was_held(orientation: int, stored: np.ndarray, file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), file_format, exif=exif)
    np.testing.assert_array_equal(read(content), TONES)


def layered(ink: int, background: int = 0) -> np.ndarray:
    """A stroke of one tone with soft edges, on nothing; what is invisible has a tone too."""
    picture = np.zeros((9, 9, 4), np.uint8)
    picture[..., :3] = background
    picture[:, 3:6] = (ink, ink, ink, 128)
    picture[:, 4, 3] = 255
    return picture


@pytest.mark.parametrize(("ink", "backdrop"), [(0, 255), (255, 0), (90, 255), (200, 0)])
@pytest.mark.parametrize("invisible", [0, 255])
def test_ink_on_nothing_stands_out(ink: int, backdrop: int, invisible: int) -> None:
    pixels = read(encoded(layered(ink, invisible)))
    assert (pixels[0, 0], pixels[0, 4]) == (backdrop, ink)
    assert abs(int(pixels[0, 3]) - (ink + backdrop) / 2) <= 1


@pytest.mark.parametrize(("paper", "ink"), [(230, 10), (20, 250)])
def test_paper_with_transparent_corners_goes_on_as_paper(paper: int, ink: int) -> None:
    picture = np.full((9, 9, 4), paper, np.uint8)
    picture[..., 3] = 255
    picture[4, 2:7, :3] = ink
    picture[0, 0] = picture[-1, -1] = 0
    pixels = read(encoded(picture))
    assert (pixels[0, 0], pixels[1, 1], pixels[4, 4]) == (paper, paper, ink)


def test_a_colour_declared_transparent_is_seen_through() -> None:
    picture = Image.fromarray(np.array([[0, 255, 0]], np.uint8)).convert("P")
    content = encoded(picture, "PNG", transparency=picture.getpixel((0, 0)))
    np.testing.assert_array_equal(read(content), [[0, 255, 0]])  # the ink is white, so black is put behind it
    content = encoded(picture, "PNG", transparency=picture.getpixel((1, 0)))
    np.testing.assert_array_equal(read(content), [[0, 255, 0]])  # and white behind black


def test_nothing_but_transparency_is_a_blank() -> None:
    assert np.ptp(read(encoded(np.zeros((4, 4, 4), np.uint8)))) == 0


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize(("width", "height"), [(5000, 30), (30, 5000), (2049, 2049)])
def test_a_large_picture_is_reduced_with_its_aspect_ratio(file_format: str, width: int, height: int) -> None:
    pixels = read(encoded(Image.new("RGB", (width, height), (40, 40, 40)), file_format))
    assert max(pixels.shape) == image_file.MAX_SIDE
    assert pixels.shape[0] / pixels.shape[1] == pytest.approx(height / width, rel=0.1)
    assert set(np.unique(pixels)) == {40}


def test_a_large_picture_of_any_depth_is_reduced() -> None:
    for picture in (Image.new("I;16", (3000, 9), 0x8080), Image.new("F", (3000, 9), 0.5), Image.new("1", (3000, 9), 1)):
        assert read(encoded(picture, "TIFF")).shape == (6, 2048)


def test_a_picture_of_2048_is_not_reduced() -> None:
    assert read(encoded(Image.new("L", (2048, 3)))).shape == (3, 2048)


def test_paths_bytes_and_files_are_the_same(tmp_path: Path) -> None:
    content = encoded(TONES)
    path = tmp_path / "digit.of.mine"
    path.write_bytes(content)
    with path.open("rb") as file:
        for source in (path, str(path), content, BytesIO(content), file):
            np.testing.assert_array_equal(read(source), TONES)


def test_a_camera_s_photograph_with_a_preview_is_that_photograph() -> None:
    content = encoded(np.full((8, 8), 200, np.uint8), "MPO", save_all=True, append_images=[Image.new("L", (8, 8))])
    assert read(content).mean() == pytest.approx(200, abs=2)


def frames(file_format: str) -> bytes:
    return encoded(TONES, file_format, save_all=True, append_images=[Image.fromarray(255 - TONES)])


PHOTOGRAPH = encoded(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), "JPEG")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The picture is empty: expected an image file, got 0 bytes."),
        (b"seven\n", "no picture that can be read: expected one of PNG, JPEG, .*, got 6 bytes that start with b'seven"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture .* Save it as PNG or JPEG."),
        (PHOTOGRAPH[:-900], "damaged or cut off: .*truncated.* Save it again."),
        (PHOTOGRAPH[:30], "no picture|damaged"),
        (encoded(TONES)[:50], "damaged or cut off"),
        (encoded(TONES).replace(b"IDAT", b"IDAX"), "no picture that can be read"),
        (b"P5 8000 8000 255\n", "too large: expected at most 52,000,000 pixels, got 8000 x 8000. Make it smaller."),
        (b"P5 60000 60000 255\n", "too large: .* Make it smaller."),
        (frames("GIF"), "more than one frame: expected a single picture. Pass one frame of it."),
        (frames("PNG"), "more than one frame"),
        (frames("TIFF"), "more than one frame"),
        (frames("WEBP"), "more than one frame"),
    ],
)
def test_what_is_no_picture_or_too_much_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ImageFileError, match=message):
        read(content)


def test_places_without_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match=r"seven\.png does not exist: expected an image file\. Check the path\."):
        read(tmp_path / "seven.png")
    with pytest.raises(ImageFileError, match=r"is a directory: expected one image file\. Pass a file in it\."):
        read(tmp_path)
    with pytest.raises(ImageFileError, match="Cannot read a\0b"):
        read("a\0b")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageFileError, match=r"empty\.png is empty"):
        read(str(tmp_path / "empty.png"))


def test_the_size_of_a_file_is_bounded_before_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_file, "MAX_BYTES", 1000)
    file = BytesIO(bytes(5000))
    with pytest.raises(ImageFileError, match="expected at most 1,000 bytes, got more"):
        read(file)
    assert file.tell() == 1001


def test_a_picture_over_the_bound_is_an_error_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageFileError, match="10000 x 10000"):
            read(b"P5 10000 10000 255\n")


def test_a_photograph_of_50_megapixels_is_within_the_bound() -> None:
    with pytest.raises(ImageFileError, match="cut off"):  # and not: too large
        read(b"P5 8192 6144 255\n")


def test_two_channels_are_no_choice() -> None:
    with pytest.raises(ValueError, match=r"channels to be 1 \(grey\) or 3 \(RGB\), got 2"):
        read(encoded(TONES), channels=2)  # type: ignore[arg-type]


def test_fit_crops_the_middle() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    assert set(np.unique(fit(wide, (10, 10, 1)))) == {200}
    assert set(np.unique(fit(wide.T, (10, 10, 1)))) == {200}


def test_fit_pads_around_the_whole() -> None:
    padded = fit(np.full((10, 30), 200, np.uint8), (30, 30, 1), how="pad")[..., 0]
    assert set(np.unique(padded[10:20])) == {200}
    assert not padded[:10].any()
    assert not padded[20:].any()


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("source", [(7, 5), (7, 5, 1), (7, 5, 3), (60, 90, 3)])
def test_fit_gives_the_shape_that_is_asked_for(source: tuple[int, ...], channels: int, how: str) -> None:
    fitted = fit(np.full(source, 99, np.uint8), (12, 8, channels), how=how)  # type: ignore[arg-type]
    assert (fitted.shape, fitted.dtype, fitted[6, 4, 0]) == ((12, 8, channels), np.uint8, 99)


def test_fit_keeps_a_picture_of_the_right_size() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(fit(picture, (32, 32, 3)), picture)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_fit_takes_pictures_alone(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected uint8 \[height, width\] or .*image_file\.read\(\)"):
        fit(image, (8, 8, 1))


def test_fit_is_for_models_of_pictures() -> None:
    with pytest.raises(ValueError, match=r"1 or 3 channels, got \(8, 8, 4\)"):
        fit(TONES, (8, 8, 4))
