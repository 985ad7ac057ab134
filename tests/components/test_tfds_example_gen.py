"""TFDSExampleGen copies what TFDS stored: the same bytes, in the same order, nothing lost, nothing twice."""

import json
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from tfx.orchestration import metadata, pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from components.tfds_example_gen import datasets, executor
from components.tfds_example_gen.component import TFDSExampleGen
from pipeline.graph import BEAM_ARGS
from tests import examples


@pytest.fixture(scope="module")
def stored(sample: tfds.core.DatasetBuilder) -> dict[str, list[bytes]]:
    """What TFDS wrote when it prepared the sample."""
    return {split: examples.read(sample.info.splits[split].filepaths, compression="") for split in ("train", "test")}


def plan(
    sample: tfds.core.DatasetBuilder, splits: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> list[executor.Shard]:
    monkeypatch.setattr(executor, "_EXAMPLES_PER_SHARD", size)
    folders = {split: str(folder / split) for split in splits}
    for path in folders.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    return list(executor.plan_shards(sample, datasets.describe(sample, splits), folders))


@pytest.mark.parametrize("size", [5000, 1500, 999])
def test_shards_hold_exactly_the_stored_bytes_in_order(
    sample: tfds.core.DatasetBuilder,
    stored: dict[str, list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    splits = {"train": "train[:3333]", "eval": "train[3333:]", "test": "test"}
    for shard in plan(sample, splits, tmp_path, monkeypatch, size):
        executor.write_shard(shard)

    wanted = {"train": stored["train"][:3333], "eval": stored["train"][3333:], "test": stored["test"]}
    for split, records in wanted.items():
        assert examples.read(sorted((tmp_path / split).iterdir())) == records


def test_shards_are_of_about_equal_size_and_tell_how_far_each_split_is(
    sample: tfds.core.DatasetBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = plan(sample, {"test": "test", "train": "train"}, tmp_path, monkeypatch, 1500)

    sizes = [sum(source.take for source in shard.sources) for shard in shards]
    assert sorted(sizes) == [1000, 1333, 1333, 1334]
    one, two = sizes[0], sizes[0] + sizes[1]
    assert [shard.progress for shard in shards] == [
        f"train {one:,} of 4,000",
        f"train {two:,} of 4,000",
        "\u2713 train 4,000",
        "\u2713 train 4,000  \u2713 test 1,000",
    ]
    assert [Path(shard.path).name for shard in shards] == [
        "data_tfrecord-00000-of-00003.gz",
        "data_tfrecord-00001-of-00003.gz",
        "data_tfrecord-00002-of-00003.gz",
        "data_tfrecord-00000-of-00001.gz",
    ]


def test_a_split_that_joins_others_keeps_all_of_them(
    sample: tfds.core.DatasetBuilder,
    stored: dict[str, list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for shard in plan(sample, {"train": "test[900:]+train[:50]"}, tmp_path, monkeypatch, 100):
        executor.write_shard(shard)
    copied = examples.read((tmp_path / "train").iterdir())
    assert sorted(copied) == sorted(stored["test"][900:] + stored["train"][:50])


def run_component(dataset: datasets.Dataset, data_dir: Path, folder: Path) -> dict[str, object]:
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="examples",
            pipeline_root=str(folder),
            components=[TFDSExampleGen(dataset.to_json(), data_dir)],
            metadata_connection_config=connection,
            beam_pipeline_args=[*BEAM_ARGS],
        )
    )
    with metadata.Metadata(connection) as handle:
        (artifact,) = handle.store.get_artifacts_by_type("Examples")
    return artifact


@pytest.fixture(scope="module")
def runs(
    sample_dataset: datasets.Dataset, sample_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[object]:
    """The artifact of two runs in places of their own."""
    return [run_component(sample_dataset, sample_data_dir, tmp_path_factory.mktemp("run")) for _ in range(2)]


def test_under_a_runner_every_split_comes_out_whole(runs: list, stored: dict[str, list[bytes]]) -> None:
    uri = Path(runs[0].uri)
    assert examples.read((uri / "Split-train").iterdir()) == stored["train"][:3600]
    assert examples.read((uri / "Split-eval").iterdir()) == stored["train"][3600:]
    assert examples.read((uri / "Split-test").iterdir()) == stored["test"]
    assert set(json.loads(runs[0].properties["split_names"].string_value)) == {"train", "eval", "test"}


def test_the_artifact_tells_where_it_came_from(runs: list) -> None:
    told = {key: value.string_value for key, value in runs[0].custom_properties.items()}
    assert told["dataset"] == "mnist_sample"
    assert told["version"] == "1.0.0"
    assert json.loads(told["class_names"]) == list("0123456789")
    assert json.loads(told["image_shape"]) == [28, 28, 1]


def test_two_runs_write_the_same_files(runs: list) -> None:
    contents = [{path.relative_to(run.uri): path.read_bytes() for path in Path(run.uri).rglob("*.gz")} for run in runs]
    assert len(contents[0]) == 3
    assert contents[0] == contents[1]


def test_a_dataset_that_is_gone_stops_the_step(sample_dataset: datasets.Dataset, tmp_path: Path) -> None:
    # Prepared elsewhere: nothing in this data directory.
    with pytest.raises(Exception, match=r"Cannot make split 'eval'.*has not been generated"):
        run_component(sample_dataset, tmp_path / "other", tmp_path / "root")
