"""What the report states of a model, from its labels and probabilities."""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from sklearn import metrics

from components.run_report.data import ClassScore, Comparison, Reliability

BINS = 15  # as in Guo et al. and in the evaluator
CONFIDENCE_LEVEL = 0.95


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts examples by label and by predicted class.

    Args:
      labels: int64 [N].
      predicted: int64 [N].
      classes: number of classes.

    Returns:
      int64 [classes, classes]; a row a label.
    """
    return metrics.confusion_matrix(labels, predicted, labels=np.arange(classes))


def by_row(counts: np.ndarray) -> np.ndarray:
    """Returns a confusion matrix as fractions of each label's examples; not a number for a label without any."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=1, keepdims=True)


def class_scores(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> list[ClassScore]:
    """Returns precision, recall and F1 of each class, in the order of the classes.

    Args:
      labels: int64 [N].
      predicted: int64 [N].
      class_names: of all classes.
    """
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(class_names)), zero_division=np.nan
    )
    return [
        ClassScore(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    ]


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Compares confidence with accuracy in `BINS` bins, the same way as the evaluator's ClassMetrics.

    Args:
      labels: int64 [N].
      probabilities: float32 [N, classes].

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count, sum_of_confidence, right = (
        np.bincount(bins, weights, BINS) for weights in (None, confidence, probabilities.argmax(axis=1) == labels)
    )
    error = float(np.abs(sum_of_confidence - right).sum() / len(labels))
    with np.errstate(invalid="ignore"):
        return Reliability(count, sum_of_confidence / count, right / count, error)


def accuracy_interval(right: int, count: int) -> tuple[float, float]:
    """Returns the percentile bootstrap's confidence interval of an accuracy, as of infinitely many resamples.

    Resampling `count` examples of which `right` are right gives a binomial number of right ones, so that nothing has to
    be drawn. Where all examples are right or all are wrong, every resample is too, and the bootstrap would claim to be
    certain: there the interval is Clopper and Pearson's.

    Args:
      right: number of right ones.
      count: number of examples, at least 1.
    """
    if right in (0, count):
        interval = stats.binomtest(right, count).proportion_ci(CONFIDENCE_LEVEL, method="exact")
        return float(interval.low), float(interval.high)
    low, high = stats.binom.interval(CONFIDENCE_LEVEL, count, right / count)
    return float(low) / count, float(high) / count


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int) -> np.ndarray:
    """Finds the wrong predictions of the highest probability; of equal ones, those that give the label least.

    Args:
      labels: int64 [N].
      probabilities: float32 [N, classes].
      most: how many to return at most.

    Returns:
      int64 [M], indices of examples, the most confident first.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence, of_label = probabilities[wrong].max(axis=1), probabilities[wrong, labels[wrong]]
    return wrong[np.lexsort((of_label, -confidence))][:most]


def compare(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compares two models on the same examples.

    Args:
      labels: int64 [N].
      first: float32 [N, classes], probabilities of the model that is known.
      second: the same of the one that may differ.
    """
    first_label, second_label = first.argmax(axis=1), second.argmax(axis=1)
    flipped = first_label != second_label
    broken, mended = flipped & (first_label == labels), flipped & (second_label == labels)
    kinds = (broken, mended, flipped & ~broken & ~mended)
    weights = (second_label == labels).astype(float) - (first_label == labels)
    with np.errstate(invalid="ignore"):
        classes = first.shape[1]
        recall_change = np.bincount(labels, weights, classes) / np.bincount(labels, minlength=classes)
    return Comparison(
        agreement=float(1 - flipped.mean()),
        flips=np.concatenate([np.flatnonzero(kind) for kind in kinds]),
        broken=int(broken.sum()),
        mended=int(mended.sum()),
        recall_change=recall_change,
    )
