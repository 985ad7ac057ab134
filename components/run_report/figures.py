"""The report's pictures, each a function from plain data to a figure.

A figure's label is its alternative text. As SVG it takes the page's text colour, so that it is legible on a light page
and on a dark one; as PNG it is on white. Colours are of seaborn's colour-blind palette, of enough contrast on both, and
never the only sign of a difference.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from components.keys import OUTLIER
from components.run_report.data import ClassScore, Reliability, SliceScore, Variant
from components.run_report.statistics import accuracy_interval, by_row

WIDTH = 7.5  # inches; 540 pt, 720 pixels of a page
INK = "#1b1c1d"  # of text and axes; nothing else has this colour, for SVG leaves it to the page
FIRST, SECOND, THIRD = (sns.color_palette("colorblind").as_hex()[index] for index in (0, 3, 2))
_FAINT = 0.3  # opacity of what stands behind
_MOST_CELLS = 20  # classes of a confusion matrix whose numbers are legible
_MOST_SLICES = 25  # drawn
_FEWEST_EXAMPLES = 30  # of a slice that is drawn
_LARGEST_THUMBNAIL = 64  # pixels; larger images are thinned out
_CAPTION_POINTS = 7
_STYLE: Any = {
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],  # which Matplotlib brings; a page without it takes its own, and none is wider
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "run_report",  # the same figure gives the same file
}
_styled = mpl.rc_context(_STYLE)


@_styled
def svg(figure: Figure) -> str:
    """Returns a figure as an `<svg>` element that can stand in a page: transparent, in the page's text colour."""
    buffer = io.StringIO()
    metadata = {"Title": figure.get_label(), "Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg ") :].replace("<svg ", '<svg role="img" ', 1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Matplotlib numbers its groups from 1 in each figure; in one page those would be the same names again.
    text = re.sub(r'<g id="[\w.]+_\d+"', "<g", text)
    return text.replace(INK, "currentColor")


@_styled
def save(figure: Figure, folder: Path, name: str) -> str:
    """Writes `<name>.png` and `<name>.svg`.

    Args:
      figure: from one of the functions here.
      folder: that exists.
      name: of the files, without an ending.

    Returns:
      The SVG's text, which can stand in a page as it is.
    """
    text = svg(figure)
    (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    figure.savefig(folder / f"{name}.png", dpi=160, facecolor="white")
    return text


@_styled
def training(epochs: Sequence[Mapping[str, float]], best_epoch: int, stopped_early: bool) -> Figure:
    """Draws accuracy, loss, learning rate and seconds over the epochs of a training.

    The arguments are what the Trainer writes in `history.json`.

    Args:
      epochs: one an epoch, with `epoch`, `accuracy`, `val_accuracy`, `loss`, `val_loss`, `learning_rate`, `seconds`.
      best_epoch: the epoch whose weights the model has.
      stopped_early: whether training ended before its last planned epoch.
    """
    best = next(epoch for epoch in epochs if epoch["epoch"] == best_epoch)
    ended = "stopped early" if stopped_early else "ended as planned"
    figure = _figure(
        4.6,
        f"Accuracy, loss, learning rate and seconds of each epoch. Training {ended} after epoch {len(epochs)}; the "
        f"best is epoch {best_epoch}, of {best['val_accuracy']:.2%} validation accuracy.",
    )
    (accuracy, loss), (rate, seconds) = figure.subplots(2, 2, sharex=True)
    numbers = [epoch["epoch"] for epoch in epochs]

    def line(axes: Axes, key: str, **style: Any) -> None:
        axes.plot(numbers, [epoch[key] for epoch in epochs], marker="o", **style)

    for axes, key in ((accuracy, "accuracy"), (loss, "loss")):
        line(axes, key, color=SECOND, linestyle="--", label="train")
        line(axes, f"val_{key}", color=FIRST, label="validation")
    line(rate, "learning_rate", color=FIRST)
    seconds.bar(numbers, [epoch["seconds"] for epoch in epochs], color=FIRST, width=0.6)
    titles = {accuracy: "Accuracy", loss: "Loss", rate: "Learning rate at the end of the epoch", seconds: "Seconds"}
    for axes, title in titles.items():
        axes.set_title(title)
        axes.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":", label=f"best: epoch {best_epoch}")
        if stopped_early:
            axes.axvline(numbers[-1], color=INK, linewidth=0.8, linestyle="-.", label=f"stopped: epoch {numbers[-1]}")
    accuracy.yaxis.set_major_formatter(ticker.PercentFormatter(1))
    loss.set_yscale("log")
    loss.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    loss.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    loss.yaxis.set_minor_formatter(ticker.NullFormatter())
    rate.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside upper left", ncols=4)
    for axes in (rate, seconds):
        axes.set(xlabel="epoch", xlim=(0.4, len(epochs) + 0.6))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    return figure


@_styled
def class_balance(counts: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Figure:
    """Draws the share of each class in each split.

    Args:
      counts: int [classes] by split, the examples of each class.
      class_names: of all classes.
    """
    shares = {f"{split} ({values.sum():,})": values / values.sum() for split, values in counts.items()}
    least, most = min(map(np.min, shares.values())), max(map(np.max, shares.values()))
    figure = _figure(2.6, f"Share of each class in {', '.join(shares)}: from {least:.1%} to {most:.1%}.")
    axes = figure.subplots()
    sns.barplot(
        x=np.tile(class_names, len(shares)),
        y=np.concatenate(list(shares.values())),
        hue=np.repeat(list(shares), len(class_names)),
        palette=[FIRST, SECOND, THIRD][: len(shares)],
        saturation=1,
        ax=axes,
    )
    axes.axhline(1 / len(class_names), color=INK, linewidth=0.8, linestyle=":", label="even")
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))
    axes.set(xlabel="class", ylabel="share of the split")
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
    _across(axes)
    return figure


@_styled
def samples(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Shows images with their labels, in the order given.

    Args:
      images: uint8 [N, height, width, channels].
      labels: int64 [N].
      class_names: of all classes.
    """
    captions = [class_names[label] for label in labels]
    return _grid(images, captions, f"{len(images)} images with their labels: {', '.join(captions)}.")


@_styled
def augmented(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Shows training images as the network sees them; a frame marks those of no class.

    Args:
      images: uint8 [N, height, width, channels].
      labels: int64 [N]; `OUTLIER` for an image of no class.
      class_names: of all classes.
    """
    outlier = labels == OUTLIER
    captions = ["no class" if none else class_names[label] for label, none in zip(labels, outlier, strict=True)]
    alt = (
        f"{len(images)} training images as the network sees them, {outlier.sum()} of them made up and of no class: "
        f"{', '.join(captions)}."
    )
    return _grid(images, captions, alt, framed=outlier)


@_styled
def predictions(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> Figure:
    """Shows images with what a model makes of them; a frame and a cross mark the wrong ones.

    Args:
      images: uint8 [N, height, width, channels].
      labels: int64 [N].
      probabilities: float32 [N, classes].
      class_names: of all classes.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = predicted != labels
    captions = [
        f"{class_names[answer]} ({probability:.1%})" + (f"\n\u2717 is {class_names[label]}" if answer != label else "")
        for answer, probability, label in zip(predicted, probabilities.max(axis=1), labels, strict=True)
    ]
    alt = f"{len(images)} images with the predicted class and its probability; {wrong.sum()} of them are wrong."
    return _grid(images, captions, alt, framed=wrong)


@_styled
def answers(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    title: str,
) -> Figure:
    """Shows images with the answers of several models: for the most confident mistakes, and for flips.

    Args:
      images: uint8 [N, height, width, channels].
      labels: int64 [N].
      probabilities: float32 [N, classes] by model.
      class_names: of all classes.
      title: what the images are, for the alternative text.
    """
    captions = []
    for index, label in enumerate(labels):
        lines = [f"label {class_names[label]}"]
        for model, rows in probabilities.items():
            answer = int(rows[index].argmax())
            mark = "\u2713" if answer == label else "\u2717"
            lines.append(f"{mark} {model}: {class_names[answer]} ({rows[index, answer]:.1%})")
        captions.append("\n".join(lines))
    described = "; ".join(caption.replace("\n", ", ") for caption in captions)
    return _grid(images, captions, f"{title}: {described or 'none'}.", columns=3, beside=True)


@_styled
def corruptions(images: Mapping[str, np.ndarray]) -> Figure:
    """Shows one image under each corruption.

    Args:
      images: uint8 [height, width, channels] by corruption.
    """
    captions = [name.replace("_", " ") for name in images]
    return _grid(np.stack(list(images.values())), captions, f"One image under {', '.join(captions)}.", columns=8)


@_styled
def confusion(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix twice: counts, and percent of each label's examples.

    Colour is for mistakes alone: on one scale with the diagonal they would not be seen. It is as strong as the root of
    their number, so that single ones show too.

    Args:
      counts: int64 [classes, classes]; a row a label.
      class_names: of all classes.
    """
    classes = len(class_names)
    mistakes = counts * ~np.eye(classes, dtype=bool)
    label, predicted = divmod(int(mistakes.argmax()), classes)
    figure = _figure(
        4.1,
        f"Confusion matrix of {counts.sum():,} examples, {mistakes.sum():,} of them mistakes; the most frequent, "
        f"{mistakes.max():,} times, takes {class_names[label]} for {class_names[predicted]}.",
    )
    # Opacity, not lightness, so that no mistakes look like none on a dark page too.
    colours = LinearSegmentedColormap.from_list("mistakes", [(SECOND, 0), (SECOND, 0.75)])
    percent = 100 * by_row(counts)
    legible = classes <= _MOST_CELLS
    for axes, title, values, form in (
        (figure.add_subplot(121), "Examples", counts, "{:,.0f}"),
        (figure.add_subplot(122), "Percent of the label's examples", percent, "{:.1f}"),
    ):
        wrong = np.nan_to_num(np.where(mistakes > 0, values, 0))
        texts = np.vectorize(form.format)(values)
        texts[(counts == 0) & ~np.eye(classes, dtype=bool)] = "\u00b7"
        sns.heatmap(
            pd.DataFrame(np.sqrt(wrong / max(wrong.max(), 1e-9)), class_names, class_names),
            annot=texts if legible else None,
            rasterized=not legible,  # as shapes, ten thousand cells are megabytes
            fmt="",
            annot_kws={"size": 6.5, "color": INK},
            cmap=colours,
            vmin=0,
            vmax=1,
            cbar=False,
            square=True,
            ax=axes,
        )
        for place in range(classes):
            axes.add_patch(Rectangle((place, place), 1, 1, facecolor=INK, alpha=0.1, linewidth=0))
        axes.grid(False)
        axes.tick_params(length=0)
        axes.tick_params(axis="y", rotation=0)
        axes.set(title=title, xlabel="predicted", ylabel="label")
    return figure


@_styled
def class_scores(scores: Sequence[ClassScore]) -> Figure:
    """Draws precision, recall and F1 of each class as dots, the class of the least F1 first.

    Args:
      scores: from `statistics.class_scores`.
    """
    ordered = sorted(scores, key=lambda score: np.nan_to_num(score.f1, nan=1))
    figure = _figure(
        0.9 + 0.21 * len(scores),
        "Precision, recall and F1 of each class. F1, the least first: "
        + ", ".join(f"{score.name} {score.f1:.2%}" for score in ordered)
        + ".",
    )
    axes = figure.subplots()
    rows = np.arange(len(ordered))
    ends = np.array([[score.precision, score.recall] for score in ordered])
    axes.hlines(rows, ends.min(axis=1), ends.max(axis=1), color=INK, alpha=_FAINT, linewidth=1)
    for key, marker, colour in (("precision", "o", FIRST), ("recall", "s", SECOND), ("f1", "|", INK)):
        values = [getattr(score, key) for score in ordered]
        size = 8 if marker == "|" else 5
        axes.plot(values, rows, marker, color=colour, label="F1" if key == "f1" else key, markersize=size)
    _rows(axes, [score.name for score in ordered], [f"{score.support:,}" for score in ordered], "examples")
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1))
    axes.set(ylabel="class")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


@_styled
def slice_scores(scores: Sequence[SliceScore], overall: float) -> Figure:
    """Draws the accuracy on the worst slices with confidence intervals.

    Slices of a few examples are left out, if there are others: intervals as wide as theirs would hide the rest.

    Args:
      scores: from `statistics.slice_scores`, worst first.
      overall: accuracy on all examples, in 0..1.
    """
    large = [score for score in scores if score.count >= _FEWEST_EXAMPLES] or scores
    drawn = large[:_MOST_SLICES]
    which = f"the {len(drawn)} worst of {len(large)} slices"
    if left_out := len(scores) - len(large):
        which += f" ({left_out} of fewer than {_FEWEST_EXAMPLES} examples left out)"
    figure = _figure(
        0.9 + 0.19 * len(drawn),
        f"Accuracy with 95 % confidence intervals on {which}; the worst is {drawn[0].name}, "
        f"{drawn[0].accuracy:.2%} of {drawn[0].count:,} examples. Overall {overall:.2%}.",
    )
    axes = figure.subplots()
    rows = np.arange(len(drawn))
    accuracy = np.array([score.accuracy for score in drawn])
    reach = np.array([[score.accuracy - score.low, score.high - score.accuracy] for score in drawn]).T
    axes.errorbar(accuracy, rows, xerr=reach, fmt="o", color=FIRST, elinewidth=1.2, capsize=2)
    axes.axvline(overall, color=INK, linewidth=0.8, linestyle=":", label=f"overall {overall:.2%}")
    _rows(axes, [score.name for score in drawn], [f"{score.count:,}" for score in drawn], "examples")
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1))
    axes.set(xlabel=f"accuracy, 95 % confidence; {which}")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


@_styled
def reliability(bins: Reliability) -> Figure:
    """Draws accuracy against confidence, and how many examples have which confidence.

    Args:
      bins: from `statistics.reliability`.
    """
    figure = _figure(4.2, f"Reliability diagram; expected calibration error {bins.error:.4f}.", width=5)
    diagram, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = bins.count > 0
    count, confidence, accuracy = (values[filled] for values in (bins.count, bins.confidence, bins.accuracy))
    intervals = [
        accuracy_interval(right, of) for right, of in zip(np.rint(accuracy * count).astype(int), count, strict=True)
    ]
    reach = np.abs(np.array(intervals).T - accuracy)
    diagram.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="as often right as it says")
    diagram.errorbar(
        confidence, accuracy, yerr=reach, fmt="o", color=FIRST, elinewidth=1.2, capsize=2, label="bin, 95 % confidence"
    )
    diagram.set(ylabel="accuracy", title=f"Expected calibration error {bins.error:.4f}", ylim=(-0.02, 1.02))
    diagram.legend(loc="lower right")
    edges = np.linspace(0, 1, len(bins.count) + 1)
    histogram.bar(edges[:-1], bins.count, width=np.diff(edges), align="edge", color=FIRST, edgecolor="none")
    histogram.set_yscale("log")
    histogram.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    histogram.set(xlabel="confidence: probability of the predicted class", ylabel="examples", xlim=(0, 1.015))
    histogram.set_ylim(bottom=0.5)
    return figure


@_styled
def recall_change(change: np.ndarray, class_names: Sequence[str], names: tuple[str, str]) -> Figure:
    """Draws what one model recognises of each class more or less than another.

    Args:
      change: float64 [classes], from `statistics.compare`.
      class_names: of all classes.
      names: of the first model and of the second.
    """
    first, second = names
    points = 100 * change
    figure = _figure(
        2.2,
        f"Recall of {second} less that of {first}, by class, in percentage points: from {np.nanmin(points):+.2f} to "
        f"{np.nanmax(points):+.2f}.",
    )
    axes = figure.subplots()
    axes.bar(
        np.arange(len(points)),
        np.nan_to_num(points),
        color=[SECOND if value < 0 else FIRST for value in points],
        width=0.6,
    )
    axes.set_xticks(np.arange(len(points)), class_names)
    axes.axhline(0, color=INK, linewidth=0.8)
    for place in np.flatnonzero(np.isfinite(points)):
        value, down = points[place], points[place] < 0
        axes.annotate(
            f"{value:+.2f}" if value else "0",
            (place, value),
            xytext=(0, -2 if down else 2),
            textcoords="offset points",
            ha="center",
            va="top" if down else "bottom",
            fontsize=7,
        )
    reach = 1.3 * max(np.nanmax(np.abs(points)), 0.1)
    axes.set(ylim=(-reach, reach), xlabel="class", ylabel="percentage points", title=f"Recall, {second} less {first}")
    axes.spines["bottom"].set_visible(False)
    _across(axes)
    return figure


@_styled
def variants(files: Sequence[Variant]) -> Figure:
    """Draws size and accuracy of the conversions, the largest first, with their latency.

    Args:
      files: the conversions.
    """
    ordered = sorted(files, key=lambda file: -file.bytes)
    figure = _figure(
        0.85 + 0.3 * len(ordered),
        "; ".join(
            ", ".join(
                [
                    f"{file.name}: {file.bytes:,} bytes",
                    *([f"{file.accuracy:.2%} accuracy"] if file.accuracy is not None else []),
                    *([f"{file.latency_us:,.0f} microseconds"] if file.latency_us is not None else []),
                ]
            )
            for file in ordered
        )
        + ".",
    )
    size, accuracy = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(ordered))
    bars = size.barh(rows, [file.bytes / 1000 for file in ordered], color=FIRST, height=0.55)
    size.bar_label(bars, [f"{file.bytes / 1000:,.0f} kB" for file in ordered], padding=3, fontsize=8)
    size.set(title="Size", xlabel="kB")
    size.margins(x=0.2)
    size.tick_params(axis="y", length=0)
    for row, file in enumerate(ordered):
        if file.accuracy is None:
            accuracy.annotate("not measured", (0.5, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
            continue
        accuracy.plot(file.accuracy, row, "o", color=FIRST, markersize=6)
        beside: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        accuracy.annotate(f"{file.accuracy:.2%}", (file.accuracy, row), fontsize=8, **beside)
    accuracy.margins(x=0.5)
    accuracy.xaxis.set_major_locator(ticker.MaxNLocator(4))
    accuracy.xaxis.set_major_formatter(ticker.PercentFormatter(1))
    accuracy.set(title="Accuracy")
    if all(file.accuracy is None for file in ordered):
        accuracy.set_xticks([])
    latency = ["" if file.latency_us is None else f"{file.latency_us:,.0f} \u00b5s" for file in ordered]
    _rows(accuracy, [file.name.replace("_", " ") for file in ordered], latency, "latency" if any(latency) else "")
    return figure


@_styled
def robustness(accuracy: Mapping[str, float], clean: float, previous: Mapping[str, float] | None = None) -> Figure:
    """Draws the accuracy under each corruption, worst first.

    Args:
      accuracy: in 0..1, by corruption.
      clean: accuracy on the images as they are.
      previous: the same as `accuracy` of the served model, if there is one.
    """
    ordered = sorted(accuracy.items(), key=lambda item: item[1])
    names, values = [name for name, _ in ordered], np.array([value for _, value in ordered])
    mean = float(values.mean())
    figure = _figure(
        0.95 + 0.2 * len(names),
        f"Accuracy under {len(names)} corruptions: mean {mean:.2%}, clean {clean:.2%}. "
        + ", ".join(f"{name.replace('_', ' ')} {value:.1%}" for name, value in ordered)
        + ".",
    )
    axes = figure.subplots()
    rows = np.arange(len(names))
    axes.barh(rows, values, color=FIRST, height=0.6)
    texts = [f"{value:.1%}" for value in values]
    heading = "accuracy"
    if previous is not None:
        before = np.array([previous[name] for name in names])
        style: dict[str, Any] = {
            "color": INK,
            "markerfacecolor": "none",
            "markersize": 5,
            "linestyle": "none",
            "clip_on": False,
        }
        axes.plot(before, rows, marker="D", label="served model", **style)
        texts = [f"{text} ({100 * change:+.1f})" for text, change in zip(texts, values - before, strict=True)]
        heading = "accuracy (change)"
    axes.axvline(mean, color=INK, linewidth=1, linestyle="--", label=f"mean {mean:.1%}")
    axes.axvline(clean, color=INK, linewidth=0.8, linestyle=":", label=f"clean {clean:.1%}")
    _rows(axes, [name.replace("_", " ") for name in names], texts, heading)
    axes.xaxis.set_major_formatter(ticker.PercentFormatter(1))
    axes.set(xlim=(0, 1), xlabel="accuracy")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _figure(height: float, alt: str, width: float = WIDTH) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", label=alt)


def _across(axes: Axes) -> None:
    """Leaves the horizontal grid lines alone, for columns that stand for classes."""
    axes.grid(False, axis="x")
    axes.tick_params(axis="x", length=0)


def _rows(axes: Axes, names: Sequence[str], notes: Sequence[str], heading: str) -> None:
    """Names the rows 0, 1, ... from the top, and puts a note at the right end of each."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    place: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "va": "center",
        "fontsize": 7.5,
        "annotation_clip": False,
    }
    for row, note in enumerate(notes):
        axes.annotate(note, (1.015, row), **place)
    axes.annotate(heading, (1.015, -1), **place, fontstyle="italic")


def _grid(
    images: np.ndarray,
    captions: Sequence[str],
    alt: str,
    columns: int | None = None,
    beside: bool = False,
    framed: np.ndarray | None = None,
) -> Figure:
    """Shows images of one size in rows, each with a caption below or beside it."""
    longest = max((len(line) for caption in captions for line in caption.split("\n")), default=1)
    columns = columns or max(1, min(10, int(WIDTH * 72 / (0.62 * _CAPTION_POINTS * (longest + 1)))))
    step = -(-max(images.shape[1:3]) // _LARGEST_THUMBNAIL)
    images = images[:, ::step, ::step]
    _, height, width, _ = images.shape
    rows, cell = max(1, -(-len(images) // columns)), WIDTH / columns
    scale = width / (cell * (0.28 if beside else 0.86))  # pixels of an image to an inch
    line = scale * _CAPTION_POINTS * 1.3 / 72
    lines = 0 if beside else 1 + max((caption.count("\n") for caption in captions), default=0)
    across, down, top_margin = round(cell * scale), round(height + line * (lines + 0.8)), round(line / 4)
    # One picture for all is a fraction of the size of many, and its gaps are clear.
    canvas = np.zeros((rows * down + top_margin, columns * across, 4), np.uint8)
    figure = Figure(figsize=(WIDTH, len(canvas) / scale), label=alt)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    if not len(images):
        axes.text(0, 0, "none", va="top")
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        top, left = top_margin + index // columns * down, index % columns * across
        if not beside:
            left += (across - width) // 2
        canvas[top : top + height, left : left + width, :3] = image
        canvas[top : top + height, left : left + width, 3] = 255
        if beside:
            place, alignment = (left + width + line / 2, top + height / 2), ("left", "center")
        else:
            place, alignment = (left + width / 2, top + height + line / 4), ("center", "top")
        axes.text(*place, caption, ha=alignment[0], va=alignment[1], fontsize=_CAPTION_POINTS)
        if framed is not None and framed[index]:
            axes.add_patch(
                Rectangle((left, top), width, height, fill=False, edgecolor=SECOND, linewidth=2.5, clip_on=False)
            )
    axes.imshow(canvas, interpolation="none", extent=(0, canvas.shape[1], canvas.shape[0], 0), aspect="auto")
    return figure
