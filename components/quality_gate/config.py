"""What a model must reach on the test split to be blessed."""

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """Bounds of the QualityGate's gates, for the SavedModel and the TFLite file alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: float = Field(0.994, ge=0, le=1, description="Minimum accuracy on all test images.")
    class_accuracy: float = Field(0.98, ge=0, le=1, description="Minimum accuracy on the test images of any one class.")
    accuracy_drop: float = Field(
        0.002, ge=0, le=1, description="Maximum drop of accuracy below the served model's, on all test images."
    )
    class_accuracy_drop: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Maximum drop of accuracy below the served model's, on the images of any one class.",
    )
    robustness: float | None = Field(
        None, ge=0, le=1, description="Minimum mean accuracy under the corruptions of MNIST-C; None for no such gate."
    )
