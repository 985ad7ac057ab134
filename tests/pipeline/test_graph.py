"""The graph is composed without writing anything, and each step depends on what it should and on no more."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tfx.orchestration import pipeline

from components import fingerprint, provenance
from components.tfds_example_gen.datasets import Dataset
from pipeline import evaluation, graph
from pipeline.config import RunConfig, Thresholds
from pipeline.console import STEPS
from pipeline.runner import schema_file

DATASET = Dataset("mnist", "mnist:3.0.1", "3.0.1", (28, 28, 1), tuple("0123456789"), {"test": "test"}, "f" * 64)

ORDER = [
    "TFDSExampleGen",
    "ImportSchemaGen",
    "StatisticsGen",
    "PreviousStatistics",
    "ExampleValidator",
    "Transform",
    "Trainer",
    "TFLiteExporter",
    "ServedModel",
    "SavedModelEvaluator",
    "TFLiteEvaluator",
    "DeviceValidator",
    "RobustnessEvaluator",
    "QualityGate",
    "Pusher",
    "RunReport",
]
RESOLVERS = {"PreviousStatistics", "ServedModel"}  # are never cached


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(pipeline_root=tmp_path / "root", serving_dir=tmp_path / "serving")


def compose(config: RunConfig, dataset: Dataset = DATASET, schema: Path | None = None) -> pipeline.Pipeline:
    return graph.create_pipeline(config, dataset, schema or schema_file(config), served=[Path("/models/mnist/1")])


def node(composed: pipeline.Pipeline, name: str):
    return next(component for component in composed.components if component.id == name)


def properties(config: RunConfig, dataset: Dataset = DATASET) -> dict[str, dict]:
    return {item.id: dict(getattr(item, "exec_properties", {})) for item in compose(config, dataset).components}


def changed(one: dict[str, dict], other: dict[str, dict]) -> set[str]:
    return {name for name in one if str(one[name]) != str(other[name])}


def test_the_graph_reads_from_top_to_bottom(config: RunConfig) -> None:
    components = compose(config).components
    assert sorted(component.id for component in components) == sorted(ORDER)
    # Where neither needs the other (the schema and the data, a baseline and the device's validation), TFX chooses.
    for component in components:
        needed = [ORDER.index(upstream.id) for upstream in component.upstream_nodes]
        assert max(needed, default=-1) < ORDER.index(component.id)
    needs = {component.id: {upstream.id for upstream in component.upstream_nodes} for component in components}
    assert needs["DeviceValidator"] == {"TFDSExampleGen", "TFLiteExporter"}
    assert needs["QualityGate"] >= {"TFLiteExporter", "SavedModelEvaluator", "TFLiteEvaluator", "DeviceValidator"}
    assert needs["Pusher"] >= {"TFLiteExporter", "QualityGate"}


def test_composing_writes_nothing(config: RunConfig, tmp_path: Path) -> None:
    compose(config)
    assert list(tmp_path.iterdir()) == []


def test_every_step_that_does_work_is_told_to_the_user(config: RunConfig) -> None:
    names = {component.id for component in compose(config).components}
    assert names - set(STEPS) == {"PreviousStatistics", "ServedModel"}
    assert set(STEPS) <= names


def test_every_step_has_its_code_and_libraries_in_its_cache_key(config: RunConfig) -> None:
    for name, values in properties(config).items():
        assert (len(values.get("code", "")) == 64) == (name not in RESOLVERS), name


def test_another_version_of_tfdv_changes_the_statistics(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = properties(config)
    installed = fingerprint._installed

    def newer(name: str, extra: str) -> tuple[str | None, list[tuple[str, str]]]:
        version, required = installed(name, extra)
        return "99.0" if name == "tensorflow-data-validation" else version, required

    monkeypatch.setattr(fingerprint, "_installed", newer)
    assert "StatisticsGen" in changed(before, properties(config))


def test_a_network_of_ones_own_is_in_the_key_of_the_trainer_and_of_no_other_step(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "graphs_own_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "training.py").write_text("from . import network\ndef run_fn(args): network.build()\n")
    (package / "network.py").write_text("def build(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = config.model_copy(update={"run_fn": "graphs_own_package.training.run_fn"})
    before = properties(own)
    (package / "network.py").write_text("def build(): return 1\n")
    assert changed(before, properties(own)) == {"Trainer"}


def test_another_machine_is_validated_on_anew(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = properties(config)
    monkeypatch.setattr(provenance, "machine", lambda: "another CPU")
    assert changed(before, properties(config)) == {"DeviceValidator"}


def test_anomalies_hold_up_transform_and_all_that_follows(config: RunConfig) -> None:
    composed = compose(config)
    waiting, reached = [node(composed, "ExampleValidator")], set()
    while waiting:
        below = waiting.pop().downstream_nodes
        waiting += [item for item in below if item.id not in reached]
        reached |= {item.id for item in below}
    assert reached >= set(ORDER[ORDER.index("Transform") :]) - {"ServedModel"}


def test_training_sees_no_test_split(config: RunConfig) -> None:
    composed = compose(config)
    assert '"test"' not in str(node(composed, "Trainer").exec_properties["train_args"])
    assert '"test"' not in str(node(composed, "Trainer").exec_properties["eval_args"])
    assert '"analyze": [\n    "train"\n  ]' in node(composed, "Transform").exec_properties["splits_config"]
    for name in ("SavedModelEvaluator", "TFLiteEvaluator"):
        assert node(composed, name).exec_properties["example_splits"] == '["test"]'


@pytest.mark.parametrize(
    ("change", "nodes"),
    [
        ({"thresholds": Thresholds(accuracy=0.5)}, {"QualityGate"}),  # judged again, not evaluated again
        ({"bless_anyway": "demo"}, {"QualityGate"}),
        ({"serving_dir": Path("/elsewhere")}, {"Pusher"}),
        ({"manual_dir": Path("/elsewhere")}, set()),
    ],
)
def test_a_setting_changes_the_steps_that_depend_on_it_and_no_other(
    config: RunConfig, change: dict, nodes: set[str]
) -> None:
    assert changed(properties(config), properties(config.model_copy(update=change))) == nodes


def test_other_training_changes_the_trainer(config: RunConfig) -> None:
    training = config.training.model_copy(update={"epochs": 3})
    other = properties(config.model_copy(update={"training": training}))
    assert changed(properties(config), other) == {"Trainer", "QualityGate"}


def test_other_data_under_the_same_name_changes_every_step_that_knows_it(config: RunConfig) -> None:
    other = properties(config, dataclasses.replace(DATASET, fingerprint="0" * 64))
    assert "TFDSExampleGen" in changed(properties(config), other)


def test_another_content_of_the_schema_changes_the_import(config: RunConfig, tmp_path: Path) -> None:
    schema = tmp_path / "schema.pbtxt"
    keys = []
    for text in ("# one", "# two"):
        schema.write_text(text)
        keys.append(node(compose(config, schema=schema), "ImportSchemaGen").exec_properties["content"])
    assert keys[0] != keys[1]


def test_each_dataset_has_its_own_place_for_versions_and_artifacts(config: RunConfig) -> None:
    composed = compose(config)
    assert composed.pipeline_info.pipeline_root == str(config.pipeline_root / "mnist")
    assert str(config.serving_dir / "mnist") in node(composed, "Pusher").exec_properties["push_destination"]


def test_beam_never_downloads_a_runner(config: RunConfig) -> None:
    assert "--direct_running_mode=in_memory" in compose(config).beam_pipeline_args


@pytest.mark.parametrize("make", [evaluation.saved_model_eval_config, evaluation.tflite_eval_config])
def test_tfma_is_given_no_bound_to_judge_by(make: Callable[[int], EvalConfig]) -> None:
    for metric in (metric for spec in make(10).metrics_specs for metric in spec.metrics):
        assert not metric.HasField("threshold")
        assert not metric.per_slice_thresholds


def test_both_files_are_judged_by_the_same_metrics_on_the_same_slices() -> None:
    one, other = evaluation.saved_model_eval_config(10), evaluation.tflite_eval_config(10)
    assert list(one.metrics_specs) == list(other.metrics_specs)
    assert [list(spec.feature_keys) for spec in one.slicing_specs] == [
        [],
        ["label"],
        ["ink_quartile"],
        ["stroke_width"],
        ["crossings"],
        ["label", "ink_quartile"],
    ]
    assert list(one.slicing_specs) == list(other.slicing_specs)
