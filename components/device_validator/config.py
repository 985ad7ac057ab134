"""What a TFLite file may take of a device, and how far it may stray from the SavedModel."""

from pydantic import BaseModel, ConfigDict, Field


class DeviceLimits(BaseModel):
    """Bounds of the DeviceValidator's gates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(100_000, gt=0, description="Most bytes of the file.")
    latency_us: float = Field(1000, gt=0, description="Most median microseconds an image, LiteRT on one thread.")
    arena_bytes: int = Field(65_536, gt=0, description="Most bytes of TFLite Micro's arena.")
    agreement: float = Field(0.999, ge=0, le=1, description="Least part of test images with the SavedModel's label.")
    significance: float = Field(
        0.05, ge=0, lt=1, description="Least p-value of McNemar's test of the SavedModel against the file."
    )
    recall_drop: float = Field(0.005, ge=0, le=1, description="Most that any class's recall may fall by.")
