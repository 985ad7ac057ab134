"""Datasets: what cannot be used is refused with its reason, and what can be is described in full."""

import dataclasses
import gzip
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from components.errors import DataUnavailableError, UserError
from components.tfds_example_gen import datasets
from tests.conftest import SAMPLE_SPLITS

MNIST_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


class _Tiny(tfds.core.GeneratorBasedBuilder):
    """Four examples of whatever features a subclass states."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES: dict = {}
    pkg_dir_path = Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self.FEATURES))

    def _split_generators(self, dl_manager: object) -> dict:
        del dl_manager
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for index in range(4):
            yield index, {"image": np.zeros((2, 2, 1), np.uint8), "label": index % 2}


class TinyWithoutLabel(_Tiny):
    """A dataset for another task."""

    FEATURES = {"image": tfds.features.Image(shape=(2, 2, 1)), "caption": tfds.features.Text()}


class TinyWithNumbers(_Tiny):
    """A dataset whose label is no class."""

    FEATURES = {"image": tfds.features.Image(shape=(2, 2, 1)), "label": tfds.features.Scalar(np.int64)}


class TinyOfAnySize(_Tiny):
    """A dataset of photographs."""

    FEATURES = {"image": tfds.features.Image(shape=(None, None, 3)), "label": tfds.features.ClassLabel(num_classes=2)}


class TinyFits(_Tiny):
    """A dataset that the pipeline can use."""

    FEATURES = {"image": tfds.features.Image(shape=(2, 2, 1)), "label": tfds.features.ClassLabel(names=["no", "yes"])}


class TinyLocal(_Tiny):
    """A dataset over a file of one's own, four images of four bytes each; nothing is downloaded."""

    FEATURES = TinyFits.FEATURES
    SOURCE: Path

    def _generate_examples(self):
        pixels = np.frombuffer(self.SOURCE.read_bytes(), np.uint8).reshape(4, 2, 2, 1)
        for index, image in enumerate(pixels):
            yield index, {"image": image, "label": index % 2}


class TinyConfigured(_Tiny):
    """A dataset with a config."""

    FEATURES = TinyFits.FEATURES
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="bright", version="1.0.0")]


TINY_SPLITS = {"train": "train[:2]", "test": "train[2:]"}


def prepared(name: str, data_dir: Path) -> tfds.core.DatasetBuilder:
    builder = datasets.load_builder(name, data_dir)
    datasets.prepare(builder, manual_dir=None)
    return builder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Has every request fail at once; returns the addresses that were asked for."""
    asked = []

    def fail(url: str, **options: object) -> None:
        del options
        asked.append(url)
        raise requests.exceptions.ConnectionError("no route")

    monkeypatch.setattr(requests, "head", fail)
    monkeypatch.setattr(requests.Session, "get", lambda self, url, **options: fail(url))
    return asked


@pytest.fixture
def mnist(tmp_path: Path) -> tfds.core.DatasetBuilder:
    """MNIST, not prepared."""
    return datasets.load_builder("mnist", tmp_path / "tfds")


def test_an_unknown_dataset_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Unknown dataset 'minst'.*list_builders"):
        datasets.load_builder("minst", tmp_path)


@pytest.mark.parametrize("name", ["mnist/letters", "mnist:0.0.9", "emnist/lettres"])
def test_an_unknown_config_or_version_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"Unknown dataset '{name}'"):
        datasets.load_builder(name, tmp_path)


@pytest.mark.parametrize(
    ("builder", "wanted", "got"),
    [
        ("tiny_without_label", "'label' of type ClassLabel", r"'image' \(Image\), 'caption' \(Text\)"),
        ("tiny_with_numbers", "'label' of type ClassLabel", r"'label' \(Scalar\)"),
        ("coco_captions", "'label' of type ClassLabel", r"'captions' \(Sequence\)"),
    ],
)
def test_a_dataset_for_another_task_is_refused_with_what_it_has(
    tmp_path: Path, builder: str, wanted: str, got: str
) -> None:
    with pytest.raises(UserError, match=f"{wanted}, got .*{got}"):
        datasets.load_builder(builder, tmp_path)


def test_images_of_unknown_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images of one size, got the shape \(None, None, 3\)"):
        datasets.load_builder("tiny_of_any_size", tmp_path)


def test_a_default_data_directory_that_is_a_uri_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", "gs://bucket/tfds")  # as TFDS_DATA_DIR sets it
    with pytest.raises(UserError, match=r"^TFDS_DATA_DIR: expected a path on this machine, got .* gs://bucket/tfds"):
        datasets.load_builder("mnist", None)
    datasets.load_builder("mnist", tmp_path)


def test_a_dataset_of_ones_own_is_described_from_what_it_declares(tmp_path: Path) -> None:
    dataset = datasets.describe(prepared("tiny_fits", tmp_path), TINY_SPLITS)
    assert (dataset.name, dataset.builder, dataset.version) == ("tiny_fits", "tiny_fits:1.0.0", "1.0.0")
    assert (dataset.image_shape, dataset.class_names) == ((2, 2, 1), ("no", "yes"))
    assert dataset.splits == TINY_SPLITS


def test_a_config_is_part_of_name_and_builder(tmp_path: Path) -> None:
    dataset = datasets.describe(prepared("tiny_configured/bright", tmp_path), TINY_SPLITS)
    assert dataset.name == "tiny_configured_bright"
    assert dataset.builder == "tiny_configured/bright:1.0.0"
    assert datasets.load_builder(dataset.builder, tmp_path).info.full_name == "tiny_configured/bright/1.0.0"


def test_a_description_survives_json(sample_dataset: datasets.Dataset) -> None:
    assert datasets.Dataset.from_json(sample_dataset.to_json()) == sample_dataset


def test_equal_descriptions_give_equal_json_whatever_the_order_of_splits(sample_dataset: datasets.Dataset) -> None:
    turned = dataclasses.replace(sample_dataset, splits=dict(reversed(sample_dataset.splits.items())))
    assert turned.to_json() == sample_dataset.to_json()


def test_the_same_data_prepared_twice_has_one_fingerprint_wherever_it_is(
    sample_dataset: datasets.Dataset, tmp_path: Path
) -> None:
    again = datasets.describe(prepared("mnist_sample", tmp_path / "elsewhere"), SAMPLE_SPLITS)
    assert again.fingerprint == sample_dataset.fingerprint


def test_other_splits_have_another_fingerprint(
    sample: tfds.core.DatasetBuilder, sample_dataset: datasets.Dataset
) -> None:
    other = datasets.describe(sample, SAMPLE_SPLITS | {"eval": "train[95%:]"})
    assert other.fingerprint != sample_dataset.fingerprint


def test_changed_local_files_prepared_as_the_same_version_change_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "pixels"
    monkeypatch.setattr(TinyLocal, "SOURCE", source, raising=False)
    fingerprints = []
    for content in (b"0123456789abcdef", b"0123456789abcdeX", b"0123456789abcdef"):
        source.write_bytes(content)
        builder = prepared("tiny_local", tmp_path / "tfds")
        fingerprints.append(datasets.describe(builder, TINY_SPLITS).fingerprint)
        shutil.rmtree(builder.data_dir)
    assert fingerprints[0] != fingerprints[1]
    assert fingerprints[0] == fingerprints[2]


def test_other_class_names_change_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = datasets.describe(prepared("tiny_fits", tmp_path / "one"), TINY_SPLITS)
    label = tfds.features.ClassLabel(names=["yes", "no"])
    monkeypatch.setattr(TinyFits, "FEATURES", TinyFits.FEATURES | {"label": label})
    after = datasets.describe(prepared("tiny_fits", tmp_path / "other"), TINY_SPLITS)
    assert after.fingerprint != before.fingerprint


def test_a_prepared_file_that_cannot_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(paths: list[Path]) -> str:  # root may read everything
        raise PermissionError(13, "Permission denied", str(paths[0]))

    monkeypatch.setattr(datasets.fingerprint, "of_files", refuse)
    builder = prepared("tiny_fits", tmp_path)
    with pytest.raises(UserError, match=r"^Cannot read the prepared data of 'tiny_fits' .*Permission denied") as caught:
        datasets.describe(builder, TINY_SPLITS)
    assert "Delete" not in str(caught.value)


def test_a_prepared_file_that_is_gone_is_told_with_what_to_do(tmp_path: Path) -> None:
    builder = prepared("tiny_fits", tmp_path)
    (file,) = datasets.stored_files(builder, TINY_SPLITS.values())
    file.unlink()
    with pytest.raises(UserError, match=rf"'tiny_fits' is damaged: .*{file.name}.*Delete {builder.data_dir} and run"):
        datasets.describe(builder, TINY_SPLITS)


def test_splits_are_counted(sample: tfds.core.DatasetBuilder) -> None:
    assert datasets.count_splits(sample, SAMPLE_SPLITS) == {"train": 3600, "eval": 400, "test": 1000}


@pytest.mark.parametrize("expression", ["validation", "train[", "train[1:2:3]", "train[:5x]", ""])
def test_a_split_expression_that_tfds_does_not_know_is_refused(
    sample: tfds.core.DatasetBuilder, expression: str
) -> None:
    with pytest.raises(UserError, match=r"Cannot make split 'eval' of 'mnist_sample' from .*over train, test"):
        datasets.count_splits(sample, SAMPLE_SPLITS | {"eval": expression})


@pytest.mark.parametrize("expression", ["train[4000:]", "train[:0]"])
def test_an_empty_split_is_refused_with_what_there_is(sample: tfds.core.DatasetBuilder, expression: str) -> None:
    with pytest.raises(UserError, match=r"Split 'eval' .* is empty.*4,000 in 'train'"):
        datasets.count_splits(sample, SAMPLE_SPLITS | {"eval": expression})


def put_files(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    for name in MNIST_FILES:
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(b"pixels" * 1000)[:-20], b""],
    ids=["corrupt", "cut off", "empty"],
)
def test_a_corrupt_or_cut_off_source_file_is_refused_by_its_checksum(
    mnist: tfds.core.DatasetBuilder, tmp_path: Path, no_network: list[str], content: bytes
) -> None:
    manual_dir = put_files(tmp_path / "originals", content)
    with pytest.raises(UserError, match=r"source file of 'mnist' is corrupt or cut off.*Fetch the original") as caught:
        datasets.prepare(mnist, manual_dir)

    assert not isinstance(caught.value, DataUnavailableError)  # that would go on with the sample
    assert any(name in str(caught.value) for name in MNIST_FILES)
    assert not mnist.is_prepared()
    assert no_network == []


def test_without_network_and_files_the_data_is_unavailable_after_one_look(
    mnist: tfds.core.DatasetBuilder, no_network: list[str]
) -> None:
    with pytest.raises(DataUnavailableError, match=r"Cannot get dataset 'mnist'.*--manual-dir or MNIST_MANUAL_DIR"):
        datasets.prepare(mnist, manual_dir=None)
    assert len(no_network) == 1


def test_a_file_that_the_manual_directory_lacks_is_named(
    mnist: tfds.core.DatasetBuilder, tmp_path: Path, no_network: list[str]
) -> None:
    manual_dir = put_files(tmp_path / "originals", b"")
    (manual_dir / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataUnavailableError, match=r"t10k-labels-idx1-ubyte\.gz is not in the manual directory"):
        datasets.prepare(mnist, manual_dir)
    assert len(no_network) == 1


def test_a_network_that_goes_away_in_between_makes_the_data_unavailable(
    mnist: tfds.core.DatasetBuilder, no_network: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "head", lambda url, **options: None)
    with pytest.raises(DataUnavailableError, match="network does not answer"):
        datasets.prepare(mnist, manual_dir=None)
    assert no_network


@pytest.mark.parametrize("made", [True, False])
def test_a_manual_directory_that_is_none_is_refused(
    mnist: tfds.core.DatasetBuilder, tmp_path: Path, made: bool
) -> None:
    if made:
        (tmp_path / "originals").write_text("a file")
    with pytest.raises(UserError, match="originals is not a directory") as caught:
        datasets.prepare(mnist, tmp_path / "originals")
    assert not isinstance(caught.value, DataUnavailableError)


def test_a_data_directory_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "tfds").write_text("a file")
    with pytest.raises(UserError, match=r"Cannot prepare 'mnist_sample' in .*--data-dir"):
        datasets.prepare(datasets.load_builder("mnist_sample", tmp_path / "tfds"), None)


def test_a_dataset_that_is_prepared_asks_for_nothing(
    sample: tfds.core.DatasetBuilder, tmp_path: Path, no_network: list[str]
) -> None:
    datasets.prepare(sample, manual_dir=tmp_path / "not there")
    assert no_network == []


def test_the_sample_is_stratified_real_and_without_overlap(sample: tfds.core.DatasetBuilder) -> None:
    images = {}
    for split, count in {"train": 4000, "test": 1000}.items():
        data = list(tfds.as_numpy(sample.as_dataset(split=split)))
        assert Counter(int(item["label"]) for item in data) == dict.fromkeys(range(10), count // 10)
        images[split] = {item["image"].tobytes() for item in data}
        assert len(images[split]) == count
        # White ink on a black ground, as MNIST has it.
        assert 0.1 < np.mean([item["image"].mean() for item in data]) / 255 < 0.16
    assert not images["train"] & images["test"]
