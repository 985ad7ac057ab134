"""A TFMA metric: accuracy, and precision, recall and calibration of each class, in one pass.

TFMA's own metrics, binarised for each class, took four times as long as all others together: they look at each example
once a class, a metric and a slice. Keras's accuracy is a float32, which is not exactly a fraction of the examples.
"""

from collections.abc import Iterable

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from components.keys import ACCURACY

PRECISION = "precision"
RECALL = "recall"
CALIBRATION = "calibration"
CALIBRATION_ERROR = "expected_calibration_error"

_BINS = 15


class ClassMetrics(metric_types.Metric):
    """Computes, of a classifier's probabilities:

    - `accuracy`: the fraction of examples whose most probable class is the label, in float64;
    - `precision` and `recall` of each class, the most probable class being the predicted one;
    - `calibration` of each class: the sum of its probabilities over the number of its examples, 1 at best;
    - `expected_calibration_error` over all: the mean distance between the probability of the predicted class and the
      accuracy, in 15 bins of that probability. Source: Guo et al., On Calibration of Modern Neural Networks,
      arXiv:1706.04599.

    What has no examples to compute it from is not a number.
    """

    def __init__(self, classes: int, name: str = ACCURACY) -> None:
        """Makes the metric.

        Args:
          classes: number of classes.
          name: of the accuracy.
        """
        super().__init__(metric_util.merge_per_key_computations(_computations), classes=classes, name=name)


def _computations(
    classes: int,
    name: str = ACCURACY,
    eval_config: config_pb2.EvalConfig | None = None,
    model_name: str = "",
    output_name: str = "",
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    places = {"model_name": model_name, "output_name": output_name, "example_weighted": example_weighted}
    keys = [
        metric_types.MetricKey(name=metric, sub_key=metric_types.SubKey(class_id=index), **places)
        for metric in (PRECISION, RECALL, CALIBRATION)
        for index in range(classes)
    ]
    keys += [metric_types.MetricKey(name=metric, **places) for metric in (CALIBRATION_ERROR, name)]
    combiner = _Combiner(keys, classes, eval_config)
    return [metric_types.MetricComputation(keys=keys, preprocessors=None, combiner=combiner)]


class _Counts:
    """What is kept of the examples seen.

    Attributes:
      confusion: float64 [classes, classes], examples by label and by predicted class.
      probability: float64 [classes], sum of the probabilities of each class.
      bins: float64 [bins, 3], in each bin of confidence: examples, sum of confidence, correct ones.
    """

    __slots__ = ("bins", "confusion", "probability")

    def __init__(self, classes: int) -> None:
        self.confusion = np.zeros((classes, classes))
        self.probability = np.zeros(classes)
        self.bins = np.zeros((_BINS, 3))


class _Combiner(beam.CombineFn):
    def __init__(
        self, keys: list[metric_types.MetricKey], classes: int, eval_config: config_pb2.EvalConfig | None
    ) -> None:
        super().__init__()
        self._keys = keys
        self._classes = classes
        self._eval_config = eval_config

    def create_accumulator(self) -> _Counts:
        return _Counts(self._classes)

    def add_input(self, counts: _Counts, element: metric_types.StandardMetricInputs) -> _Counts:
        key = self._keys[0]
        for label, probabilities, weight in metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=key.model_name,
            output_name=key.output_name,
            example_weighted=key.example_weighted,
            flatten=False,
        ):
            count(counts, int(label.item()), probabilities.reshape(-1), float(weight.item()))
        return counts

    def merge_accumulators(self, accumulators: Iterable[_Counts]) -> _Counts:
        merged = self.create_accumulator()
        for counts in accumulators:
            merged.confusion += counts.confusion
            merged.probability += counts.probability
            merged.bins += counts.bins
        return merged

    def extract_output(self, counts: _Counts) -> dict[metric_types.MetricKey, float]:
        return dict(zip(self._keys, values(counts), strict=True))


def count(counts: _Counts, label: int, probabilities: np.ndarray, weight: float) -> None:
    """Adds one example.

    Args:
      counts: to add to.
      label: the true class.
      probabilities: float [classes].
      weight: of the example.
    """
    predicted = int(probabilities.argmax())
    confidence = float(probabilities[predicted])
    counts.confusion[label, predicted] += weight
    counts.probability += weight * probabilities
    counts.bins[min(int(confidence * _BINS), _BINS - 1)] += (
        weight,
        weight * confidence,
        weight * (label == predicted),
    )


def values(counts: _Counts) -> list[float]:
    """Returns precision, recall, calibration of each class, then the calibration error, then the accuracy."""
    hits, by_label, by_prediction = (
        counts.confusion.diagonal(),
        counts.confusion.sum(axis=1),
        counts.confusion.sum(axis=0),
    )
    _, confidence, correct = counts.bins.T
    with np.errstate(divide="ignore", invalid="ignore"):
        per_class = [hits / by_prediction, hits / by_label, counts.probability / by_label]
        error = np.abs(confidence - correct).sum() / by_label.sum()
        accuracy = hits.sum() / by_label.sum()
    return [*np.concatenate(per_class).tolist(), float(error), float(accuracy)]
