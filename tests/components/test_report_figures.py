"""The pictures show the values they are given, and stand in a page."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import _pylab_helpers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from components.keys import OUTLIER
from components.run_report import figures, statistics
from components.run_report.data import ClassScore, SliceScore, Variant

NAMES = ["a", "b", "c"]
LABELS = np.array([0] * 50 + [1] * 40)
PREDICTED = np.array([0] * 49 + [1] + [1] * 38 + [0, 2])
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
ONE_HOT = np.eye(3, dtype=np.float32)
BOTH = {"SavedModel": 0.9 * ONE_HOT[[0, 1, 2]], "TFLite": 0.8 * ONE_HOT[[0, 0, 2]]}
EPOCHS: list[dict[str, float]] = [
    {
        "epoch": epoch,
        "accuracy": 1 - 0.3 / epoch,
        "val_accuracy": 1 - 0.2 / epoch,
        "loss": 0.9 / epoch,
        "val_loss": 0.5 / epoch,
        "learning_rate": 0.001 / epoch,
        "seconds": 30.0 + epoch,
    }
    for epoch in (1, 2, 3, 4)
]
SCORES = [
    SliceScore("label=0", 200, 0.9, 0.85, 0.95),
    SliceScore("tiny", 3, 0.95, 0.0, 1.0),
    SliceScore("label=1", 1234, 0.97, 0.96, 0.98),
]
ROBUSTNESS = {"shot_noise": 0.9, "fog": 0.1, "canny_edges": 0.5}
VARIANTS = [Variant("int8", 93_000, 0.9929, 210.4), Variant("float32", 313_436), Variant("float16", 163_644, 0.9926)]

ALL = {
    "training": lambda: figures.training(EPOCHS, 2, stopped_early=True),
    "class_balance": lambda: figures.class_balance(
        {"train": np.array([10, 20, 70]), "test": np.array([1, 1, 2])}, NAMES
    ),
    "samples": lambda: figures.samples(PIXELS[:3], np.array([2, 0, 1]), NAMES),
    "augmented": lambda: figures.augmented(PIXELS[:4], np.array([2, 0, OUTLIER, OUTLIER]), NAMES),
    "predictions": lambda: figures.predictions(PIXELS[:3], np.array([0, 1, 1]), BOTH["TFLite"], NAMES),
    "answers": lambda: figures.answers(PIXELS[:3], np.array([0, 1, 1]), BOTH, NAMES, "Flips"),
    "corruptions": lambda: figures.corruptions({"original": PIXELS[0], "dotted_line": PIXELS[1]}),
    "confusion": lambda: figures.confusion(statistics.confusion(LABELS, PREDICTED, 3), NAMES),
    "class_scores": lambda: figures.class_scores(statistics.class_scores(LABELS, PREDICTED, NAMES)),
    "slice_scores": lambda: figures.slice_scores(SCORES, overall=0.965),
    "reliability": lambda: figures.reliability(statistics.reliability(LABELS[:3], BOTH["TFLite"])),
    "recall_change": lambda: figures.recall_change(np.array([0.002, -0.01, np.nan]), NAMES, ("SavedModel", "TFLite")),
    "variants": lambda: figures.variants(VARIANTS),
    "robustness": lambda: figures.robustness(ROBUSTNESS, 0.99, ROBUSTNESS | {"fog": 0.25}),
}


def texts(figure: Figure) -> list[str]:
    """All that is written in a figure, in the order of drawing."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def drawn(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """The x and y of the line of that label."""
    (line,) = (line for line in axes.lines if line.get_label() == label)
    return list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))


@pytest.fixture(autouse=True)
def no_traces() -> Iterator[None]:
    """No figure may leave pyplot or Matplotlib's settings other than it found them."""
    before = dict(mpl.rcParams)
    yield
    assert not _pylab_helpers.Gcf.figs
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ALL)
def test_every_figure_stands_in_a_page_of_any_colour(name: str, tmp_path: Path) -> None:
    figure = ALL[name]()
    text = figures.save(figure, tmp_path, name)

    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png", f"{name}.svg"}
    assert (tmp_path / f"{name}.svg").read_text() == text
    root = ET.fromstring(text)  # noqa: S314
    title, *_ = root
    assert root.tag.endswith("}svg")
    assert root.get("role") == "img"
    assert title.tag.endswith("}title")
    assert title.text == figure.get_label()
    assert len(figure.get_label()) > 20
    assert len(text) < 60_000
    for ink in (figures.INK, "#000000", "fill: black"):
        assert ink not in text
    assert "currentColor" in text
    assert "<metadata" not in text
    # What is written is text, and no two figures share an id but where both mean the same thing.
    written = {"".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")}
    for axes in figure.axes:
        strings = [axes.get_title(loc="left"), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
        assert {line for string in strings for line in string.split("\n")} <= written | {""}
    ids = {element.get("id") for element in root.iter() if element.tag.endswith("}g") and element.get("id")}
    assert not ids
    background = next(element for element in root.iter() if element.tag.endswith("}path"))
    assert background.get("style") == "fill: none"
    with Image.open(tmp_path / f"{name}.png") as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


@pytest.mark.parametrize("name", ["confusion", "samples"])
def test_the_same_data_give_the_same_file(name: str) -> None:
    assert figures.svg(ALL[name]()) == figures.svg(ALL[name]())


def test_training_marks_the_best_epoch_and_the_stop() -> None:
    figure = ALL["training"]()
    accuracy, loss, rate, seconds = figure.axes
    assert drawn(accuracy, "train") == ([1, 2, 3, 4], [epoch["accuracy"] for epoch in EPOCHS])
    assert drawn(accuracy, "validation")[1] == [epoch["val_accuracy"] for epoch in EPOCHS]
    assert drawn(loss, "train")[1] == [epoch["loss"] for epoch in EPOCHS]
    assert drawn(loss, "validation")[1] == [epoch["val_loss"] for epoch in EPOCHS]
    assert list(rate.lines[0].get_ydata()) == [epoch["learning_rate"] for epoch in EPOCHS]
    assert [bar.get_height() for bar in seconds.patches] == [31, 32, 33, 34]
    for axes in figure.axes:
        assert drawn(axes, "best: epoch 2")[0] == [2, 2]
        assert drawn(axes, "stopped: epoch 4")[0] == [4, 4]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "train",
        "validation",
        "best: epoch 2",
        "stopped: epoch 4",
    ]
    assert "stopped early after epoch 4; the best is epoch 2, of 90.00%" in figure.get_label()


def test_a_training_that_ran_to_its_end_has_no_stop() -> None:
    figure = figures.training(EPOCHS[:1], 1, stopped_early=False)
    assert "ended as planned after epoch 1" in figure.get_label()
    assert not any("stopped" in text for text in texts(figure))


def test_balance_is_in_shares_of_each_split() -> None:
    (axes,) = (figure := ALL["class_balance"]()).axes
    heights = [[bar.get_height() for bar in container] for container in axes.containers]
    np.testing.assert_allclose(heights, [[0.1, 0.2, 0.7], [0.25, 0.25, 0.5]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train (100)", "test (4)", "even"]
    assert drawn(axes, "even")[1] == pytest.approx([1 / 3, 1 / 3])
    assert figure.get_label().endswith("from 10.0% to 70.0%.")
    assert [label.get_text() for label in axes.get_xticklabels()] == NAMES


def pictures(figure: Figure) -> np.ndarray:
    """The one picture that holds all images, RGBA."""
    (axes,) = figure.axes
    (image,) = axes.images
    return image.get_array().data


def test_images_are_shown_pixel_by_pixel_over_their_labels() -> None:
    figure = ALL["samples"]()
    assert texts(figure) == ["c", "a", "b"]
    canvas = pictures(figure)
    shown = canvas[..., 3] > 0
    assert shown.sum() == 3 * 28 * 28
    top, left = np.argwhere(shown).min(axis=0)
    np.testing.assert_array_equal(canvas[top : top + 28, left : left + 28, :3], np.repeat(PIXELS[0], 3, axis=2))
    (axes,) = figure.axes
    for text, image in zip(axes.texts, (0, 1, 2), strict=True):
        column = round(text.get_position()[0]) - 14
        np.testing.assert_array_equal(canvas[top : top + 28, column : column + 28, 0], PIXELS[image, ..., 0])


def test_colour_stays_and_large_images_are_thinned_out() -> None:
    images = np.zeros((2, 300, 200, 3), np.uint8)
    images[1] = (10, 200, 30)
    canvas = pictures(figures.samples(images, np.array([0, 1]), NAMES))
    assert set(map(tuple, canvas[canvas[..., 3] > 0])) == {(0, 0, 0, 255), (10, 200, 30, 255)}
    assert max(canvas.shape) < 1000


def test_long_names_get_wider_columns() -> None:
    images, labels = np.repeat(PIXELS[:1], 10, axis=0), np.zeros(10, int)
    short, long = (figures.samples(images, labels, [name]) for name in ("a", "an uncommonly long name"))
    assert long.get_figheight() > 2 * short.get_figheight()
    for figure in (short, long):
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_images_of_no_class_are_framed_among_what_the_network_sees() -> None:
    figure = ALL["augmented"]()
    assert texts(figure) == ["c", "a", "no class", "no class"]
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(frames) == 2
    assert figure.get_label() == (
        "4 training images as the network sees them, 2 of them made up and of no class: c, a, no class, no class."
    )


def test_wrong_predictions_are_framed_and_crossed() -> None:
    figure = ALL["predictions"]()
    assert texts(figure) == ["a (80.0%)", "a (80.0%)\n\u2717 is b", "c (80.0%)\n\u2717 is b"]
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(frames) == 2
    assert frames[0].get_x() < frames[1].get_x()
    assert "2 of them are wrong" in figure.get_label()


def test_answers_of_both_models_are_beside_each_image() -> None:
    figure = ALL["answers"]()
    assert texts(figure) == [
        "label a\n\u2713 SavedModel: a (90.0%)\n\u2713 TFLite: a (80.0%)",
        "label b\n\u2713 SavedModel: b (90.0%)\n\u2717 TFLite: a (80.0%)",
        "label b\n\u2717 SavedModel: c (90.0%)\n\u2717 TFLite: c (80.0%)",
    ]
    assert figure.get_label().startswith("Flips: label a, \u2713 SavedModel: a (90.0%), ")


def test_no_flips_is_said() -> None:
    figure = figures.answers(PIXELS[:0], LABELS[:0], {"TFLite": ONE_HOT[:0]}, NAMES, "Flips")
    assert texts(figure) == ["none"]
    assert figure.get_label() == "Flips: none."


def test_the_confusion_matrix_colours_mistakes_alone() -> None:
    figure = ALL["confusion"]()
    counts, percent = figure.axes
    for axes, numbers in (
        (counts, ["49", "1", "\u00b7", "1", "38", "1", "\u00b7", "\u00b7", "0"]),
        (percent, ["98.0", "2.0", "\u00b7", "2.5", "95.0", "2.5", "\u00b7", "\u00b7", "nan"]),
    ):
        assert [text.get_text() for text in axes.texts] == numbers
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "label")
        assert [label.get_text() for label in axes.get_xticklabels()] == NAMES
        (mesh,) = axes.collections
        opacity = mesh.get_facecolors()[:, 3].reshape(3, 3)
        np.testing.assert_array_equal(opacity > 0, [[0, 1, 0], [1, 0, 1], [0, 0, 0]])
        diagonal = [(patch.get_x(), patch.get_y()) for patch in axes.patches if isinstance(patch, Rectangle)]
        assert diagonal == [(0, 0), (1, 1), (2, 2)]
    assert "90 examples, 3 of them mistakes" in figure.get_label()


def test_more_mistakes_are_the_stronger_and_the_worst_is_named() -> None:
    figure = figures.confusion(np.array([[90, 1, 9], [0, 99, 1], [0, 0, 100]]), NAMES)
    opacity = figure.axes[0].collections[0]
    figure.draw_without_rendering()
    shades = opacity.get_facecolors()[:, 3].reshape(3, 3)
    assert 0 < shades[0, 1] < shades[0, 2]
    assert figure.get_label().endswith("the most frequent, 9 times, takes a for c.")


def test_a_hundred_classes_are_a_small_file_without_numbers() -> None:
    figure = figures.confusion(np.eye(100, dtype=int) * 9 + np.eye(100, k=1, dtype=int), [f"{i}" for i in range(100)])
    assert not figure.axes[0].texts
    assert len(figures.svg(figure)) < 150_000


def test_class_scores_come_worst_first() -> None:
    scores = [ClassScore("a", 0.9, 0.7, 0.79, 1000), ClassScore("b", 0.6, 0.8, 0.69, 20)]
    missing = ClassScore("c", np.nan, np.nan, np.nan, 0)
    figure = figures.class_scores([*scores, missing])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first row is the uppermost
    np.testing.assert_array_equal(drawn(axes, "precision")[0], [0.6, 0.9, np.nan])
    np.testing.assert_array_equal(drawn(axes, "recall")[0], [0.8, 0.7, np.nan])
    np.testing.assert_array_equal(drawn(axes, "F1")[0], [0.69, 0.79, np.nan])
    assert [text.get_text() for text in axes.texts] == ["20", "1,000", "0", "examples"]


def test_slices_have_their_intervals_and_small_ones_are_counted_out() -> None:
    figure = ALL["slice_scores"]()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["label=0", "label=1"]
    (bars,) = axes.containers
    points, _, (reach,) = bars
    assert list(points.get_xdata()) == [0.9, 0.97]
    np.testing.assert_allclose(
        [segment[:, 0] for segment in reach.get_segments()], [[0.85, 0.95], [0.96, 0.98]], atol=1e-12
    )
    assert drawn(axes, "overall 96.50%")[0] == [0.965, 0.965]
    assert [text.get_text() for text in axes.texts] == ["200", "1,234", "examples"]
    assert "the 2 worst of 2 slices (1 of fewer than 30 examples left out)" in axes.get_xlabel()
    assert "the worst is label=0, 90.00% of 200 examples" in figure.get_label()


def test_slices_that_are_all_small_are_drawn() -> None:
    figure = figures.slice_scores(SCORES[1:2], overall=0.9)
    assert figure.axes[0].get_xlabel() == "accuracy, 95 % confidence; the 1 worst of 1 slices"


def test_the_worst_25_slices_are_drawn() -> None:
    many = [SliceScore(f"s{i}", 100, i / 40, i / 40, i / 40) for i in range(40)]
    (axes,) = figures.slice_scores(many, overall=0.5).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"s{i}" for i in range(25)]


def test_reliability_shows_filled_bins_and_the_error() -> None:
    rows = np.array([[0.5, 0.4, 0.1]] * 4 + [[0.9, 0.1, 0.0]] * 10, np.float32)
    bins = statistics.reliability(np.array([0, 0, 1, 1] + [0] * 9 + [1]), rows)
    figure = figures.reliability(bins)
    diagram, histogram = figure.axes
    (bars,) = diagram.containers
    points, _, (reach,) = bars
    np.testing.assert_allclose(points.get_xydata(), [[0.5, 0.5], [0.9, 0.9]], atol=1e-6)
    low, high = statistics.accuracy_interval(9, 10)
    np.testing.assert_allclose(reach.get_segments()[1][:, 1], [low, high])
    heights = [bar.get_height() for bar in histogram.patches]
    assert (len(heights), heights[7], heights[13], sum(heights)) == (15, 4, 10, 14)
    assert histogram.patches[7].get_x() == pytest.approx(7 / 15)
    assert diagram.get_title(loc="left") == f"Expected calibration error {bins.error:.4f}"


def test_recall_change_is_in_points_with_its_sign() -> None:
    figure = ALL["recall_change"]()
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.2, -1.0, 0])
    assert [text.get_text() for text in axes.texts] == ["+0.20", "-1.00"]
    assert axes.get_title(loc="left") == "Recall, TFLite less SavedModel"
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()
    assert figure.get_label().endswith("from -1.00 to +0.20.")


def test_variants_come_largest_first_with_what_was_measured() -> None:
    figure = ALL["variants"]()
    size, accuracy = figure.axes
    assert [bar.get_width() for bar in size.patches] == [313.436, 163.644, 93.0]
    assert [text.get_text() for text in size.texts] == ["313 kB", "164 kB", "93 kB"]
    assert [label.get_text() for label in size.get_yticklabels()] == ["float32", "float16", "int8"]
    assert [list(map(float, line.get_xdata())) for line in accuracy.lines] == [[0.9926], [0.9929]]
    assert [text.get_text() for text in accuracy.texts if text.get_text()] == [
        "not measured",
        "99.26%",
        "99.29%",
        "210 \u00b5s",
        "latency",
    ]
    assert "int8: 93,000 bytes, 99.29% accuracy, 210 microseconds" in figure.get_label()


def test_robustness_is_worst_first_with_the_change() -> None:
    figure = ALL["robustness"]()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fog", "canny edges", "shot noise"]
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.5, 0.9]
    assert [text.get_text() for text in axes.texts] == [
        "10.0% (-15.0)",
        "50.0% (+0.0)",
        "90.0% (+0.0)",
        "accuracy (change)",
    ]
    assert drawn(axes, "served model")[0] == [0.25, 0.5, 0.9]
    assert drawn(axes, "mean 50.0%")[0] == pytest.approx([0.5, 0.5])
    assert drawn(axes, "clean 99.0%")[0] == [0.99, 0.99]


def test_robustness_without_an_earlier_model() -> None:
    (axes,) = figures.robustness(ROBUSTNESS, 0.99).axes
    assert [text.get_text() for text in axes.texts] == ["10.0%", "50.0%", "90.0%", "accuracy"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_leaves_the_figure(name: str) -> None:
    figure = ALL[name]()
    figure.draw_without_rendering()
    drawn_in = figure.get_tightbbox().extents
    np.testing.assert_array_less([-0.02, -0.02], drawn_in[:2])
    np.testing.assert_array_less(drawn_in[2:], figure.get_size_inches() + 0.02)
