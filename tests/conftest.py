"""What the tests share. Heavy libraries are imported by the fixtures that need them: serving is tested without."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import tensorflow_datasets as tfds
    import tensorflow_transform as tft

    from components.tfds_example_gen.datasets import Dataset

SAMPLE_SPLITS = {"train": "train[:90%]", "eval": "train[90%:]", "test": "test"}


# Tests of these files look at one sample run, the others of tests/e2e/ at runs of their own.
_OF_THE_SAMPLE_RUN = tuple(f"tests/e2e/test_{name}.py" for name in ("sample_run", "report", "install", "without_data"))


class _Sharing(LoadScopeScheduling):
    """What each worker gets: the tests of a file, since they share what is costly to make.

    All tests of the sample run go to one worker; those that make runs of their own go one by one.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in _OF_THE_SAMPLE_RUN:
            return "sample run"
        return nodeid if file == "tests/e2e/test_killed_runs.py" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Sharing:
    """Has xdist share tests out in this way."""
    return _Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs come first, as they take longest."""
    items.sort(key=lambda item: item.path.parent.name != "e2e")


@pytest.fixture(scope="session")
def sample_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFDS data directory with the embedded sample, prepared."""
    from components.tfds_example_gen import datasets

    data_dir = tmp_path_factory.mktemp("tfds")
    datasets.prepare(datasets.load_builder("mnist_sample", data_dir), manual_dir=None)
    return data_dir


@pytest.fixture(scope="session")
def sample(sample_data_dir: Path) -> "tfds.core.DatasetBuilder":
    """The prepared builder of the embedded sample."""
    from components.tfds_example_gen import datasets

    return datasets.load_builder("mnist_sample", sample_data_dir)


@pytest.fixture(scope="session")
def sample_dataset(sample: "tfds.core.DatasetBuilder") -> "Dataset":
    """The description of the embedded sample, in the splits that its preset makes."""
    from components.tfds_example_gen import datasets

    return datasets.describe(sample, SAMPLE_SPLITS)


@pytest.fixture(scope="session")
def stored_digits(sample: "tfds.core.DatasetBuilder") -> list[bytes]:
    """The 1,000 test examples of the embedded sample as TFDS stored them."""
    from tests import examples

    return examples.read(sample.info.splits["test"].filepaths, compression="")


@pytest.fixture(scope="session")
def digits_file(stored_digits: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file of an `Examples` artifact."""
    from tests import examples

    return examples.write(stored_digits, tmp_path_factory.mktemp("digits") / "data.gz")


@pytest.fixture(scope="session")
def transform_output(stored_digits: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> "tft.TFTransformOutput":
    """The graph that Transform makes of 1,000 real digits."""
    from components.transform.preprocessing import preprocessing_fn

    return transform_graph(
        lambda inputs: preprocessing_fn(inputs, {"image_shape": [28, 28, 1]}),
        stored_digits,
        tmp_path_factory.mktemp("transform"),
    )


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model artifact as the TFLiteExporter leaves it; to be read only."""
    from tests import releases

    return releases.write(tmp_path_factory.mktemp("release") / "model")


@pytest.fixture(scope="session")
def version(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version directory that a push makes of it; to be read only."""
    from tests import releases

    return releases.push(release, tmp_path_factory.mktemp("serving"))


def transform_graph(preprocessing_fn: Any, records: list[bytes], folder: Path) -> "tft.TFTransformOutput":
    """Runs TensorFlow Transform over tf.Examples of `image` and `label`."""
    import apache_beam as beam
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils
    from tfx_bsl.public import tfxio

    from pipeline.graph import BEAM_ARGS

    spec = {"image": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.int64)}
    schema = schema_utils.schema_from_feature_spec(spec)
    source = tfxio.TFExampleBeamRecord(physical_format="inmem", telemetry_descriptors=["tests"], schema=schema)
    with beam.Pipeline(options=PipelineOptions(BEAM_ARGS)) as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        batches = pipeline | beam.Create(records) | source.BeamSource()
        transform_fn = (batches, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(preprocessing_fn)
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder))
    # Transform keeps the raw schema beside the graph.
    metadata_io.write_metadata(dataset_metadata.DatasetMetadata(schema), str(folder / "metadata"))
    return tft.TFTransformOutput(str(folder))
