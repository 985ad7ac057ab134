"""What TFX's Trainer calls."""

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import fingerprint
from components.keys import AUGMENTED, HISTORY, NETWORK
from components.tfds_example_gen.datasets import Dataset
from components.trainer import data, signatures, training
from components.trainer.config import TrainingConfig
from components.trainer.model import build_model
from components.transform.preprocessing import normalization_table


def run_fn(args: FnArgs) -> None:
    """Trains the network and writes model, history, and what the network sees.

    Leaves in the model artifact the SavedModel, and beside it `network.keras`: the bare network from normalised images
    to logits, for the TFLite conversion. Leaves in the model-run artifact `history.json`, TensorBoard's logs and
    `augmented.npz`: a batch as training sees it, uint8 images with int64 labels.

    Args:
      args: TFX's; its `custom_config` holds `dataset` (JSON of a `Dataset`) and `training` (of a `TrainingConfig`).
    """
    dataset = Dataset.from_json(args.custom_config["dataset"])
    config = TrainingConfig.model_validate(args.custom_config["training"])
    keras.utils.set_random_seed(config.seed)
    transform_output = tft.TFTransformOutput(args.transform_output)
    table = normalization_table(transform_output.transform_features_layer(), dataset.image_shape)

    examples = data.load(args.train_files, transform_output)
    background, foreground = float(table[0]), float(table[-1])
    train = data.for_training(examples, config, background, foreground)
    validation = data.load(args.eval_files, transform_output).batch(config.batch_size)
    network = build_model(dataset.image_shape, len(dataset.class_names), config.dropout)
    model_run = Path(args.model_run_dir)
    settings = json.dumps(args.custom_config, sort_keys=True)
    identity = [*args.train_files, args.transform_output, settings, fingerprint.of_code(f"{__name__}.run_fn")]
    history = training.fit(
        network,
        train,
        validation,
        config,
        # Beside the outputs: those of a killed execution are gone with it.
        working_dir=model_run.parents[1] / "interrupted" / fingerprint.digest(part.encode() for part in identity),
        log_dir=model_run / "tensorboard",
    )

    model_run.mkdir(parents=True, exist_ok=True)
    images, labels = data.first_batch(examples, config, background, foreground)
    np.savez_compressed(model_run / AUGMENTED, images=images, labels=labels)
    (model_run / HISTORY).write_text(json.dumps(asdict(history), indent=2))
    serving_dir = Path(args.serving_model_dir)
    signatures.save(signatures.ServingModel(network, transform_output, table), dataset.image_shape, serving_dir)
    network.save(serving_dir.parent / NETWORK)
