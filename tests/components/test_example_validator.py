"""Anomalies stop a run before anything is trained, and the message names split, feature and anomaly."""

from pathlib import Path

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components import StatisticsGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import standard_artifacts

import pipeline as pipeline_package
from components.errors import AnomaliesError
from components.example_validator import images
from components.example_validator.component import ExampleValidator
from components.resolvers import LatestOtherStrategy
from pipeline.graph import BEAM_ARGS
from tests import examples

SCHEMA = Path(pipeline_package.__file__).parent / "schemas" / "mnist.pbtxt"
CLEAN = {"train": examples.digits(40), "eval": examples.digits(20, seed=1), "test": examples.digits(20, seed=2)}


def validate(splits: dict[str, list[bytes]], folder: Path) -> Path:
    """Runs the pipeline's first steps on examples, once more in the same place if there was a run; returns the root."""
    root = folder / "root"
    number = len(list(folder.glob("data*")))
    artifact = examples.artifact(splits, folder / f"data{number}")
    importer = Importer(
        source_uri=artifact.uri,
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": artifact.split_names},
        custom_properties={
            key: artifact.get_string_custom_property(key) for key in ("image_shape", "payload_format", "file_format")
        },
    ).with_id("Examples")
    schema_gen = ImportSchemaGen(schema_file=str(SCHEMA))
    statistics_gen = StatisticsGen(examples=importer.outputs["result"], schema=schema_gen.outputs["schema"])
    previous = Resolver(
        strategy_class=LatestOtherStrategy,
        previous=types.Channel(type=standard_artifacts.ExampleStatistics),
        current=statistics_gen.outputs["statistics"],
    ).with_id("Previous")
    validator = ExampleValidator(
        examples=importer.outputs["result"],
        statistics=statistics_gen.outputs["statistics"],
        previous_statistics=previous.outputs["previous"],
        schema=schema_gen.outputs["schema"],
    )
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="validate",
            pipeline_root=str(root),
            components=[importer, schema_gen, statistics_gen, previous, validator],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite")),
            beam_pipeline_args=[*BEAM_ARGS],
        )
    )
    return root


def anomalies(splits: dict[str, list[bytes]], folder: Path) -> list[str]:
    """Runs as `validate` does, and returns what the error lists."""
    with pytest.raises(AnomaliesError) as caught:
        validate(splits, folder)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "The data does not fit its schema:"
    assert last.endswith("nothing was trained or pushed.")
    return [line.strip() for line in lines]


@pytest.fixture(scope="module")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where clean data passed."""
    folder = tmp_path_factory.mktemp("clean")
    validate(CLEAN, folder)
    return folder


def test_clean_data_passes_and_every_split_is_looked_at(clean_run: Path) -> None:
    files = list(clean_run.glob("root/ExampleValidator/anomalies/*/*/SchemaDiff.pb"))
    assert {path.parent.name for path in files} == {"Split-train", "Split-eval", "Split-test"}
    for path in files:
        assert not anomalies_pb2.Anomalies.FromString(path.read_bytes()).anomaly_info


LABELLED_11 = examples.example(examples.grey(9), 11)
WITHOUT_LABEL = examples.example(examples.grey(9), None)
WITHOUT_IMAGE = examples.example(None, 3)
CUT_OFF = examples.example(examples.png(np.random.default_rng(3).integers(0, 256, (28, 28, 1), np.uint8))[:200], 3)
NO_IMAGE = examples.example(b"no image", 3)
TOO_SMALL = examples.example(examples.grey(9, (14, 14, 1)), 3)
COLOURED = examples.example(examples.grey(9, (28, 28, 3)), 3)


# One bad example a split: what is wrong with it, and the words that must say so.
ONE_BAD = [
    {
        "train": (CUT_OFF, ["feature 'image': Undecodable", "1 of 41 images", "example 40", "cut off"]),
        "eval": (TOO_SMALL, ["feature 'image': Undecodable", "1 of 21 images", "(14, 14, 1), not (28, 28, 1)"]),
        "test": (LABELLED_11, ["feature 'label'", "11"]),
    },
    {
        "train": (LABELLED_11, ["feature 'label'", "11"]),
        "eval": (WITHOUT_LABEL, ["feature 'label'", "fewer examples than expected"]),
        "test": (NO_IMAGE, ["feature 'image': Undecodable", "1 of 21 images", "no PNG, JPEG, BMP or GIF"]),
    },
    {
        "train": (WITHOUT_IMAGE, ["feature 'image'", "fewer examples than expected"]),
        "test": (COLOURED, ["feature 'image': Undecodable", "(28, 28, 3), not (28, 28, 1)"]),
    },
]


@pytest.mark.parametrize("bad", ONE_BAD, ids=["cut off, size, label", "label, no label, no image", "missing, colour"])
def test_one_bad_example_stops_the_run_by_name_of_split_feature_and_anomaly(
    tmp_path: Path, bad: dict[str, tuple[bytes, list[str]]]
) -> None:
    lines = anomalies({split: [*CLEAN[split], record] for split, (record, _) in bad.items()}, tmp_path)
    for split, (_, words) in bad.items():
        told = [line for line in lines if line.startswith(f"split {split!r}, ")]
        assert any(all(word in line for word in words) for line in told), told


def test_labels_that_are_shared_out_unlike_training_are_skewed(tmp_path: Path) -> None:
    noise = examples.digits(20, seed=5)
    only_low_digits = [record for record in noise * 2 if record not in noise[5:10] + noise[15:]]
    lines = anomalies(CLEAN | {"test": only_low_digits}, tmp_path)
    assert len(lines) == 1
    assert lines[0].startswith("split 'test', feature 'label': ")
    assert "skew" in lines[0].lower() or "training" in lines[0].lower()


def test_data_that_is_shared_out_unlike_the_last_has_drifted(clean_run: Path) -> None:
    # All splits alike, so there is no skew; but one digit makes up a fifth of them instead of a tenth.
    more_threes = {
        split: [*records, *([examples.example(examples.grey(9), 3)] * (len(records) // 10 + 1))]
        for split, records in CLEAN.items()
    }
    lines = anomalies(more_threes, clean_run)
    assert {line.partition(",")[0] for line in lines} == {"split 'train'", "split 'eval'", "split 'test'"}
    assert all("feature 'label'" in line and "previous" in line.lower() for line in lines), lines


def test_every_bad_image_is_counted_and_the_first_is_told(tmp_path: Path) -> None:
    good = examples.digits(5)
    files = [
        examples.write([*good, TOO_SMALL, NO_IMAGE], tmp_path / "0.gz"),
        examples.write([CUT_OFF, WITHOUT_IMAGE, *good], tmp_path / "1.gz"),
    ]
    check = images.check_images([str(file) for file in files], (28, 28, 1))
    assert (check.images, check.bad) == (14, 4)
    assert check.first == "the image of example 5 has the shape (14, 14, 1), not (28, 28, 1)"


@pytest.mark.parametrize("records", [[], examples.digits(3)])
def test_good_images_give_nothing_to_tell(tmp_path: Path, records: list[bytes]) -> None:
    file = examples.write(records, tmp_path / "data.gz")
    assert images.check_images([str(file)], (28, 28, 1)) == images.ImageCheck(len(records), 0, "")


def test_a_failed_check_becomes_an_anomaly_of_the_image() -> None:
    info = images.anomaly(images.ImageCheck(images=5000, bad=1200, first="the image of example 7 is missing"))
    assert list(info.path.step) == ["image"]
    assert info.severity == info.ERROR
    assert info.description == (
        "1,200 of 5,000 images cannot be decoded as expected; the image of example 7 is missing"
    )
    assert [reason.description for reason in info.reason] == [info.description]
