"""The typed configuration of a run, and its presets."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from components.device_validator.config import DeviceLimits
from components.errors import UserError
from components.keys import SPLITS
from components.quality_gate.config import Thresholds
from components.trainer.config import TrainingConfig
from serving.paths import refusal_of_uri

DEFAULT_DATASET = "mnist"
SAMPLE_DATASET = "mnist_sample"


class Preset(StrEnum):
    """Ready-made settings."""

    FULL = "full"
    FAST = "fast"
    SAMPLE = "sample"


class RunConfig(BaseModel):
    """All that a run depends on.

    Paths are kept absolute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(DEFAULT_DATASET, min_length=1, description="TFDS name of an image-classification dataset.")
    splits: dict[str, str] = Field(
        {"train": "train[:55000]", "eval": "train[55000:]", "test": "test"},
        description="TFDS split expressions; test judges, and only judges.",
    )
    training: TrainingConfig = TrainingConfig()
    run_fn: str = Field(
        "components.trainer.run_fn.run_fn", description="The Trainer's entry, to train a model of your own."
    )
    thresholds: Thresholds = Thresholds()
    device: DeviceLimits = DeviceLimits()
    abstention_rate: float = Field(
        0.003, ge=0, lt=1, description="Part of the eval images that the TFLite file may abstain from."
    )
    bless_anyway: str | None = Field(None, min_length=1, description="Reason to push whatever the gates say.")
    pipeline_root: Path = Field(
        Path("pipeline_root"), description="Where a run keeps its artifacts, metadata, reports, logs."
    )
    serving_dir: Path = Field(
        default_factory=lambda values: values["pipeline_root"] / "serving_models",
        description="Where versions are pushed to; default: serving_models in the pipeline root.",
    )
    manual_dir: Path | None = Field(None, description="Directory with the dataset's original files.")
    data_dir: Path | None = Field(None, description="Where TFDS keeps prepared data; default: TFDS's own.")
    schema_file: Path | None = Field(None, description="Curated schema; default: the one kept for the dataset.")

    @field_validator("splits")
    @classmethod
    def _three_splits(cls, splits: dict[str, str]) -> dict[str, str]:
        if set(splits) != set(SPLITS):
            raise ValueError(f"expected the splits {', '.join(SPLITS)}, got {', '.join(splits) or 'none'}")
        return splits

    @field_validator("pipeline_root", "serving_dir", "manual_dir", "data_dir", "schema_file")
    @classmethod
    def _absolute_and_local(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path and (refusal := refusal_of_uri(path)):
            raise UserError(f"{info.field_name}: {refusal}")
        return path and path.expanduser().absolute()

    def recorded(self) -> str:
        """Returns as JSON what decides the result, and not where things lie: what lineage and manifest record."""
        return self.model_dump_json(include=DECIDING)


# The settings that decide the result; the others say where things lie.
DECIDING = {"dataset", "splits", "training", "run_fn", "thresholds", "device", "abstention_rate"}

# What each preset changes of the defaults, which are those of `full`.
_PRESETS: dict[Preset, dict] = {
    Preset.FULL: {},
    Preset.FAST: {
        "training": {"epochs": 3, "patience": 3},
        "thresholds": {"accuracy": 0.985, "class_accuracy": 0.96},
    },
    Preset.SAMPLE: {
        "dataset": SAMPLE_DATASET,
        "splits": {"train": "train[:90%]", "eval": "train[90%:]", "test": "test"},
        "training": {"epochs": 20, "batch_size": 32, "patience": 8},
        "thresholds": {
            "accuracy": 0.965,
            "class_accuracy": 0.88,
            "accuracy_drop": 0.01,
            "class_accuracy_drop": 0.05,
        },
        # One of its 1,000 test images, and one of the 100 or so of a class, weigh too much for the bounds of `full`.
        "device": {"agreement": 0.995, "recall_drop": 0.02},
    },
}


def preset_values(preset: Preset) -> dict:
    """Returns the values (as `RunConfig` takes them) that a preset sets; what it does not name stays at its default."""
    return _PRESETS[preset]
