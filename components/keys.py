"""Names that several components share, each with its one home (those in a version directory: serving.version_dir)."""

# Features as TFDS stores them.
IMAGE = "image"
LABEL = "label"

# Features that Transform makes.
PIXELS = "pixels"  # also the name of the TFLite file's input, by which TFMA looks it up
NORMALIZED = "normalized"
INK_QUARTILE = "ink_quartile"
STROKE_WIDTH = "stroke_width"
CROSSINGS = "crossings"
SLICING_FEATURES = (INK_QUARTILE, STROKE_WIDTH, CROSSINGS)

# Splits: `test` judges, and only judges.
TRAIN = "train"
EVAL = "eval"
TEST = "test"
SPLITS = (TRAIN, EVAL, TEST)

OUTLIER = -1  # the label of an image of no class, which training makes up

# Signatures of the SavedModel.
SERVE_EXAMPLES = "serving_default"
SERVE_IMAGES = "serve_images"
TRANSFORM_FEATURES = "transform_features"
PROBABILITIES = "probabilities"

# TFMA finds a TFLite model only under this name; the push gives it the name that TensorFlow Serving looks for.
TFMA_TFLITE = "tflite"

# The metric that the QualityGate judges.
ACCURACY = "accuracy"

# Custom property of a release's artifact: see components.release.release_digest.
RELEASE_DIGEST = "release_digest"

# Files inside artifacts.
SCHEMA = "schema.pbtxt"  # the ImportSchemaGen's schema
NETWORK = "network.keras"  # the Trainer's model: the bare network, from normalised images to logits
HISTORY = "history.json"  # the Trainer's model run
AUGMENTED = "augmented.npz"  # the same: images as training sees them
VARIANTS = "variants.json"  # the TFLiteExporter's variants
GATES = "gates.json"  # the QualityGate's blessing
DEVICE = "device.json"  # the DeviceValidator's blessing
PREDICTIONS = "predictions.npz"  # the DeviceValidator's predictions
ROBUSTNESS = "robustness.json"  # the RobustnessEvaluator's evaluation
REPORT = "report.json"  # the RunReport's content
ABSTENTION = "abstention.json"  # beside the TFLiteExporter's release
