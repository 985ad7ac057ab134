"""The settings of a training."""

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """Hyperparameters; they are chosen on the eval split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(16, ge=1, description="Most epochs to train; early stopping may end before.")
    batch_size: int = Field(128, ge=1, description="Images a gradient step.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak learning rate of Adam; a cosine takes it to zero.")
    patience: int = Field(5, ge=1, description="Epochs without a better validation loss before training stops.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Fraction of features dropped before the dense layer.")
    augment: bool = Field(True, description="Shift, rotate, scale and shear the training images at random.")
    outliers: float = Field(
        0.1, ge=0, le=1, description="Images of no class that are made up and added, as a part of the batch size."
    )
    seed: int = Field(42, ge=0, description="Seed of weights, shuffling, augmentation and calibration set.")
