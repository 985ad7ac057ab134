"""Digits come out in MNIST's convention, wherever, however large and in whichever tones they were drawn."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.digits import Digit, NoInkError, otsu, prepare, segment
from tests.serving.renderings import CONDITIONS, drawn, font_paths, on_paper, photographed, place, typed

FONT = font_paths()[0]


def ink_of(digit: int, height: int = 120) -> Image.Image:
    return typed(digit, FONT, height)


def box_of(image: np.ndarray) -> tuple[int, int, int, int]:
    box = Image.fromarray(image).getbbox()
    assert box is not None
    return box


def centre_of(image: np.ndarray) -> tuple[float, float]:
    """Returns the centre of mass, (down, across)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return float((image * y).sum() / image.sum()), float((image * x).sum() / image.sum())


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the correlation of two images, the other moved by a pixel if that is better: centres are rounded."""
    moves = [np.roll(other, (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return max(float(np.corrcoef(one.ravel(), moved.ravel())[0, 1]) for moved in moves)


def page(*placed: tuple[Image.Image, int, int], size: tuple[int, int] = (600, 300)) -> np.ndarray:
    """Returns black ink on white paper, each ink at its (left, top)."""
    sheet = Image.new("L", size)
    for ink, left, top in placed:
        sheet.paste(255, (left, top), ink)
    return on_paper(sheet, ink=0, paper=255)


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("condition", ["plain", "thin", "photographed", "squared paper", "in half a shadow"])
def test_ink_fills_20_pixels_around_its_centre_of_mass(digit: int, condition: str) -> None:
    image = prepare(CONDITIONS[condition](ink_of(digit), np.random.default_rng(digit)))
    left, top, right, bottom = box_of(image)
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    assert max(right - left, bottom - top) == 20
    assert centre_of(image) == pytest.approx((14, 14), abs=0.5)


@pytest.mark.parametrize("condition", [name for name in CONDITIONS if name != "thick"])
@pytest.mark.parametrize("digit", [2, 4, 8])
def test_the_condition_of_a_picture_is_hardly_seen_any_more(condition: str, digit: int) -> None:
    rng = np.random.default_rng(5)
    plain = prepare(CONDITIONS["plain"](ink_of(digit), rng))
    turned = condition == "rotated"  # by some degrees: the only one that should be seen
    assert likeness(prepare(CONDITIONS[condition](ink_of(digit), rng)), plain) > (0.6 if turned else 0.85)


def test_ink_is_bright_on_0_whatever_it_was() -> None:
    for ink, paper in ((0, 255), (255, 0), (90, 160), (160, 90)):
        image = prepare(on_paper(place(ink_of(4), 200, 60, 40), ink, paper))
        assert (image[0].max(), image.max()) == (0, 255)
        assert 0.05 < (image > 127).mean() < 0.25


@settings(max_examples=15, deadline=None)
@given(digit=st.integers(0, 9), left=st.integers(3, 100), top=st.integers(3, 100))
def test_it_does_not_matter_where_a_digit_is(digit: int, left: int, top: int) -> None:
    here, there = (prepare(on_paper(place(ink_of(digit, 80), 240, *at))) for at in ((60, 60), (left, top)))
    assert likeness(here, there) > 0.99


@settings(max_examples=15, deadline=None)
@given(digit=st.integers(0, 9), seed=st.integers(0, 2**16), side=st.integers(150, 260))
def test_the_negative_of_a_picture_gives_the_same(digit: int, seed: int, side: int) -> None:
    picture = on_paper(place(drawn(digit, np.random.default_rng(seed)), side, 7, 11))
    assert likeness(prepare(picture), prepare(255 - picture)) > 0.999


@settings(max_examples=10, deadline=None)
@given(digit=st.integers(0, 9), factor=st.floats(0.4, 6))
def test_it_does_not_matter_how_large_a_picture_is(digit: int, factor: float) -> None:
    sheet = place(ink_of(digit), 200, 40, 40)
    other = sheet.resize((round(200 * factor),) * 2, Image.Resampling.BICUBIC)
    assert likeness(prepare(on_paper(sheet)), prepare(on_paper(other))) > 0.97


@settings(max_examples=15, deadline=None)
@given(digit=st.integers(0, 9), seed=st.integers(0, 2**16), width=st.integers(4, 14))
def test_what_is_prepared_stays_as_it_is(digit: int, seed: int, width: int) -> None:
    image = prepare(on_paper(place(drawn(digit, np.random.default_rng(seed), width), 240, 60, 60)))
    np.testing.assert_array_equal(prepare(image), image)


def test_a_small_picture_that_is_not_centred_is_centred() -> None:
    image = prepare(page((ink_of(3), 200, 100)))
    moved = np.roll(image, (-4, 4), (0, 1))
    assert centre_of(prepare(moved)) == pytest.approx((14, 14), abs=0.5)
    assert likeness(prepare(moved), image) > 0.98


@pytest.mark.parametrize("side", [100, 1000, 2048])
@pytest.mark.parametrize("digit", [0, 7])
def test_a_hair_becomes_a_stroke(digit: int, side: int) -> None:
    hair = drawn(digit, np.random.default_rng(0), width=1, height=side * 3 // 4)
    image = prepare(on_paper(place(hair, side, side // 8, side // 8)))
    middle = image[14] > 127  # through both sides of a 0, and through the stem of a 7
    assert 2 <= middle.sum() / (2 if digit == 0 else 1) <= 4


def test_a_broad_stroke_is_left_alone() -> None:
    bar = np.full((200, 200), 255, np.uint8)
    bar[40:160, 80:120] = 0  # 1:3
    left, top, right, bottom = box_of(prepare(bar))
    assert (right - left, bottom - top) == (7, 20)


def test_specks_are_dropped() -> None:
    clean = page((ink_of(3), 250, 80))
    specked = clean.copy()
    specked[20:24, 30:34] = specked[280:283, 500:503] = specked[100, 400] = 0
    np.testing.assert_array_equal(prepare(specked), prepare(clean))


def test_ruled_lines_are_dropped_even_where_they_cross() -> None:
    clean = page((ink_of(8), 250, 80))
    ruled = clean.copy()
    ruled[15::50] = ruled[16::50] = np.minimum(ruled[15::50], 60)
    assert likeness(prepare(ruled), prepare(clean)) > 0.97


@pytest.mark.parametrize("shade", [0.7, 0.45])
def test_a_patch_of_shadow_around_a_digit_is_no_ink(shade: float) -> None:
    clean = page((ink_of(3), 270, 150), size=(700, 500))
    patch = Image.new("F", (700, 500), 1.0)
    patch.paste(shade, (150, 60, 470, 360))
    soft = patch.resize((28, 20), Image.Resampling.BOX).resize((700, 500), Image.Resampling.BILINEAR)
    assert likeness(prepare((clean * np.asarray(soft)).astype(np.uint8)), prepare(clean)) > 0.97


def test_what_comes_in_from_the_border_is_dropped() -> None:
    clean = page((ink_of(3), 250, 80))
    table = clean.copy()
    table[:, :60] = 90
    assert likeness(prepare(table), prepare(clean)) > 0.97


def thin(digit: int) -> Image.Image:
    return drawn(digit, np.random.default_rng(1), width=3, height=240)


def bold(digit: int) -> Image.Image:
    return typed(digit, font_paths()[1])


@pytest.mark.parametrize(
    ("style", "digit"),
    # A 1 may be a bar that fills its picture. Bold bars along the whole frame may pass for background.
    [
        *((style, digit) for style in (ink_of, thin) for digit in range(10) if digit != 1),
        *((bold, digit) for digit in (0, 3, 4, 6, 8, 9)),
    ],
)
def test_a_picture_cropped_to_its_ink_is_read_all_the_same(style: Callable[[int], Image.Image], digit: int) -> None:
    ink = style(digit)
    cropped, roomy = prepare(on_paper(ink)), prepare(on_paper(place(ink, 400, 60, 60)))
    assert likeness(cropped, roomy) > 0.9


BLANKS = {
    "black": np.zeros((50, 60), np.uint8),
    "white": np.full((28, 28), 255, np.uint8),
    "one pixel": np.zeros((1, 1), np.uint8),
    "one row": np.zeros((1, 300), np.uint8),
    "one column": np.zeros((300, 1), np.uint8),
    "a ramp": np.linspace(0, 255, 300, dtype=np.uint8)[None].repeat(200, 0),
    "a photograph of paper": photographed(np.zeros((300, 200), np.float32), np.random.default_rng(0)),
    "noise": np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8),
    "a speck": on_paper(place(Image.new("L", (2, 2), 255), 200, 90, 90)),
}


@pytest.mark.parametrize("name", BLANKS)
def test_a_blank_has_no_digits(name: str) -> None:
    blank = BLANKS[name]
    assert segment(blank) == []
    with pytest.raises(NoInkError, match=rf"got {blank.shape[1]} x {blank.shape[0]} pixels without ink\. Draw larger"):
        prepare(blank)


@pytest.mark.parametrize(
    "bad", [np.zeros((28, 28), np.float32), np.zeros((28, 28, 1), np.uint8), np.zeros((0, 5), np.uint8)]
)
def test_only_grey_pictures_are_taken(bad: np.ndarray) -> None:
    for take in (prepare, segment):
        with pytest.raises(ValueError, match=r"Expected uint8 \[height, width\], got .*image_file\.read\(\)"):
            take(bad)


def boxes(digits: list[Digit]) -> list[tuple[int, int, int, int]]:
    return [digit.box for digit in digits]


def test_digits_are_found_where_they_are_from_left_to_right() -> None:
    inks = {40: ink_of(7), 200: ink_of(1), 330: ink_of(0, 90), 460: ink_of(5)}
    tops = {40: 60, 200: 95, 330: 70, 460: 90}
    found = segment(page(*((ink, left, tops[left]) for left, ink in inks.items())))
    assert len(found) == 4
    for digit, (left, ink) in zip(found, inks.items(), strict=True):
        expected = (left, tops[left], left + ink.width, tops[left] + ink.height)
        assert digit.box == pytest.approx(expected, abs=2)
        assert likeness(digit.image, prepare(on_paper(place(ink, 240, 60, 60)))) > 0.97


def test_lines_are_read_from_the_top() -> None:
    # The second digit of the first line is the highest, the first of the second line is higher than its neighbour.
    found = segment(
        page((ink_of(1), 60, 50), (ink_of(2), 300, 20), (ink_of(3), 50, 220), (ink_of(4), 310, 240), size=(500, 400))
    )
    corners = [(60, 50), (300, 20), (50, 220), (310, 240)]
    assert [box[:2] for box in boxes(found)] == [pytest.approx(corner, abs=2) for corner in corners]


def test_a_line_is_as_high_as_its_digits_and_not_as_the_first_of_them() -> None:
    found = segment(page((ink_of(3), 60, 60), (ink_of(4), 200, 50), (ink_of(2, 50), 350, 40)))
    assert [box[0] for box in boxes(found)] == pytest.approx([60, 200, 350], abs=2)


def test_parts_above_each_other_are_one_digit() -> None:
    broken = page((ink_of(5), 100, 80), (ink_of(3), 300, 80))
    broken[100:106, 90:260] = 255  # the bar of the 5 comes off
    whole, other = segment(broken)
    assert whole.box == pytest.approx((100, 80, 100 + ink_of(5).width, 80 + ink_of(5).height), abs=2)
    assert other.box[0] == pytest.approx(300, abs=2)


def test_digits_above_each_other_are_two() -> None:
    height = ink_of(8).height
    found = segment(page((ink_of(8), 100, 20), (ink_of(8), 100, 20 + height + height // 2), size=(400, 400)))
    assert len(found) == 2


def test_parts_are_joined_through_a_third() -> None:
    sheet = np.full((300, 300), 255, np.uint8)
    for top in (50, 95, 140):
        sheet[top : top + 40, 120:150] = 0
    (one,) = segment(sheet)
    assert one.box == pytest.approx((120, 50, 150, 180), abs=2)


def test_boxes_are_in_the_pixels_of_a_large_picture() -> None:
    sheet = np.full((2048, 1800), 255, np.uint8)
    sheet[1500:1900, 300:400] = 0
    (one,) = segment(sheet)
    assert one.box == pytest.approx((300, 1500, 400, 1900), abs=2)


def test_a_digit_at_the_border_is_kept_if_it_is_of_a_size_with_the_others() -> None:
    assert len(segment(page((ink_of(2), -4, 80), (ink_of(3), 150, 80), (ink_of(4), 300, 80)))) == 3


def test_a_pattern_of_a_thousand_parts_is_bounded() -> None:
    tile = np.full((30, 30), 255, np.uint8)
    tile[6:24, 10:20] = 0
    assert len(segment(np.tile(tile, (34, 34)))) == 500


def test_otsu_splits_between_two_heaps() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(40, 8, 3000), rng.normal(180, 10, 1000)]).clip(0, 255)
    assert 65 < otsu(values) < 150
    assert otsu(np.array([10.0, 10, 200, 200])) == pytest.approx(104.5)
