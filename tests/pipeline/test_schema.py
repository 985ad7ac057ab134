"""An inferred schema fits the data that it was inferred from, and says what the dataset declares."""

from pathlib import Path

import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import pipeline
from components.errors import UserError
from pipeline import schema
from tests import examples

CURATED = Path(pipeline.__file__).parent / "schemas" / "mnist.pbtxt"


def features(text: str) -> dict[str, schema_pb2.Feature]:
    return {feature.name: feature for feature in text_format.Parse(text, schema_pb2.Schema()).feature}


@pytest.fixture(scope="module")
def inferred(sample_data_dir: Path) -> str:
    return schema.infer("mnist_sample", "train", None, sample_data_dir)


def test_its_header_says_what_it_was_inferred_from(inferred: str) -> None:
    assert inferred.startswith("# Inferred from mnist_sample/1.0.0, split train.")


@pytest.mark.parametrize("text", ["inferred", "curated"])
def test_every_example_must_have_one_image_and_one_label_of_the_datasets_classes(inferred: str, text: str) -> None:
    found = features(inferred if text == "inferred" else CURATED.read_text())
    assert set(found) == {"image", "label"}
    for feature in found.values():
        assert feature.presence.min_fraction == 1.0
        assert [dimension.size for dimension in feature.shape.dim] == [1]
    label = found["label"]
    assert (label.int_domain.min, label.int_domain.max, label.int_domain.is_categorical) == (0, 9, True)
    assert label.skew_comparator.infinity_norm.threshold == 0.05
    assert label.drift_comparator.infinity_norm.threshold == 0.05
    assert found["image"].image_domain.minimum_supported_image_fraction == 1.0


def test_it_finds_nothing_wrong_with_its_own_data_and_something_with_other(inferred: str, tmp_path: Path) -> None:
    parsed = text_format.Parse(inferred, schema_pb2.Schema())
    options = tfdv.StatsOptions(schema=parsed)

    def anomalies(records: list[bytes], name: str) -> set[str]:
        file = examples.write(records, tmp_path / name, compression="")
        statistics = tfdv.generate_statistics_from_tfrecord(
            str(file), str(tmp_path / f"{name}.stats"), stats_options=options
        )
        return set(tfdv.validate_statistics(statistics, parsed).anomaly_info)

    assert anomalies(examples.digits(30), "good") == set()
    assert anomalies([*examples.digits(30), examples.example(examples.grey(0), 10)], "bad") == {"label"}


@pytest.mark.parametrize(
    ("dataset", "split", "expected"),
    [("mnist_sample", "validation", "Cannot make split"), ("no_such_set", "train", "Unknown dataset")],
)
def test_what_cannot_be_read_is_refused(sample_data_dir: Path, dataset: str, split: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        schema.infer(dataset, split, None, sample_data_dir)
