"""What may be configured, what may not, and what the presets ask for."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components.errors import UserError
from pipeline.cli import make_config
from pipeline.config import Preset, RunConfig, preset_values

OPTIONS: dict[str, Any] = {"pipeline_root": Path("root"), "dataset": None, "serving_dir": None}


def make(*settings: str, preset: Preset = Preset.FULL, **options: Any) -> RunConfig:
    return make_config(preset, OPTIONS | options, list(settings))


def problem(*settings: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(*settings, **options)
    return str(caught.value)


def test_the_default_is_all_of_mnist_and_99_4_percent() -> None:
    config = make()
    assert config.dataset == "mnist"
    assert config.splits == {"train": "train[:55000]", "eval": "train[55000:]", "test": "test"}
    assert config.thresholds.accuracy == 0.994


def test_fast_trains_no_more_than_3_epochs_on_the_same_data() -> None:
    fast, full = make(preset=Preset.FAST), make()
    assert fast.training.epochs <= 3
    assert (fast.dataset, fast.splits) == (full.dataset, full.splits)


def test_sample_asks_for_96_5_percent_of_the_embedded_digits() -> None:
    config = make(preset=Preset.SAMPLE)
    assert config.dataset == "mnist_sample"
    assert config.thresholds.accuracy == 0.965


@pytest.mark.parametrize("preset", Preset)
def test_no_preset_lets_anything_but_judging_see_the_test_split(preset: Preset) -> None:
    splits = make(preset=preset).splits
    assert splits["test"] == "test"
    assert "test" not in splits["train"] + splits["eval"]


@pytest.mark.parametrize("preset", Preset)
def test_an_option_or_setting_changes_its_own_value_alone_and_never_the_preset(preset: Preset) -> None:
    before = make(preset=preset)
    changed = make("training.epochs=2", preset=preset)
    assert changed.training == before.training.model_copy(update={"epochs": 2})
    assert changed.model_copy(update={"training": before.training}) == before
    assert make(preset=preset) == before
    assert RunConfig.model_validate(preset_values(preset)).training == before.training


def test_the_last_of_several_settings_wins_over_options_and_preset() -> None:
    config = make("dataset=kmnist", "dataset=fashion_mnist", dataset="emnist", preset=Preset.SAMPLE)
    assert config.dataset == "fashion_mnist"


def test_values_are_read_as_what_they_are() -> None:
    config = make("training.augment=false", "training.learning_rate=1e-4", "splits.eval=train[90%:]", "manual_dir=/d")
    assert config.training.augment is False
    assert config.training.learning_rate == 1e-4
    assert config.splits["eval"] == "train[90%:]"
    assert config.manual_dir == Path("/d")


def test_null_is_none() -> None:
    assert make("thresholds.robustness=0.5", "thresholds.robustness=null").thresholds.robustness is None
    assert "training.epochs: Input should be a valid integer, got None" in problem("training.epochs=null")


def test_a_value_may_hold_an_equals_sign() -> None:
    assert make("bless_anyway=because a=b").bless_anyway == "because a=b"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("training.epochs=0", "training.epochs: Input should be greater than or equal to 1, got '0'"),
        ("training.epochs=many", "training.epochs: Input should be a valid integer"),
        ("training.epoch=3", "training.epoch: Extra inputs are not permitted"),
        ("training.dropout=1", "training.dropout: Input should be less than 1"),
        ("training.learning_rate=-1", "training.learning_rate"),
        ("thresholds.accuracy=99.4", "thresholds.accuracy: Input should be less than or equal to 1, got '99.4'"),
        ("speed=fast", "speed: Extra inputs are not permitted"),
        ("dataset=", "dataset: String should have at least 1 character"),
        ("bless_anyway=", "bless_anyway: String should have at least 1 character"),
        ("splits.validation=train", "expected the splits train, eval, test, got train, eval, test, validation"),
        ("training.epochs", "Cannot read --set training.epochs: expected KEY=VALUE, as in training.epochs=5."),
        ("dataset.name=mnist", "Cannot set dataset.name: dataset is a single value. Set dataset itself."),
        ("training=3", "training: "),
    ],
)
def test_what_cannot_be_set_is_refused_with_key_and_value(setting: str, expected: str) -> None:
    assert expected in problem(setting, preset=Preset.SAMPLE)


def test_all_that_is_wrong_is_named_at_once() -> None:
    text = problem("training.epochs=0", "thresholds.accuracy=2", "color=red")
    assert all(key in text for key in ("training.epochs", "thresholds.accuracy", "color"))


def test_paths_are_absolute_whatever_the_directory_and_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    config = make(pipeline_root=Path("here"), manual_dir=Path("~/originals"))
    assert config.pipeline_root == tmp_path / "here"
    assert config.serving_dir == tmp_path / "here" / "serving_models"
    assert config.manual_dir == Path("/home/someone/originals")


def test_versions_are_pushed_below_the_pipeline_root_however_that_is_set() -> None:
    assert make("pipeline_root=/x").serving_dir == Path("/x/serving_models")
    assert RunConfig(pipeline_root=Path("/x")).serving_dir == Path("/x/serving_models")
    assert make("pipeline_root=/x", serving_dir=Path("/y")).serving_dir == Path("/y")


def test_a_bad_pipeline_root_is_one_problem_and_not_two() -> None:
    text = problem("pipeline_root=null")
    assert "pipeline_root: " in text
    assert "serving_dir" not in text


def test_a_config_is_never_changed() -> None:
    with pytest.raises(ValidationError):
        make().dataset = "kmnist"


def test_what_is_recorded_decides_the_result_and_tells_no_place() -> None:
    here = make(serving_dir=Path("/a"), data_dir=Path("/b"), manual_dir=Path("/c"), pipeline_root=Path("/d"))
    there = make(pipeline_root=Path("/e"))
    assert here.recorded() == there.recorded()
    assert here.recorded() != make("training.seed=1").recorded()
    assert here.recorded() != make("thresholds.accuracy=0.9").recorded()


@pytest.mark.parametrize("name", ["pipeline_root", "serving_dir", "manual_dir", "data_dir", "schema_file"])
@pytest.mark.parametrize("uri", ["gs://bucket/models", "s3://bucket/models", "file:///models"])
def test_a_uri_is_no_path(name: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert problem(f"{name}={uri}").startswith(f"{name}: expected a path on this machine, got the URI {uri[:4]}")
    with pytest.raises(UserError, match=f"^{name}: "):
        RunConfig(**{name: Path(uri)})
