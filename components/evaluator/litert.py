"""Having TFMA judge a TFLite file by the arithmetic of the runtime that ships."""

from typing import Any

import tensorflow_model_analysis as tfma
from ai_edge_litert.interpreter import Interpreter
from tensorflow_model_analysis.extractors import extractor, tflite_predict_extractor
from tensorflow_model_analysis.proto import config_pb2


class LiteRTPredictionDoFn(tflite_predict_extractor.TFLitePredictionDoFn):
    """TFMA's own, on LiteRT with its default kernels (XNNPACK).

    TFMA asks TensorFlow's interpreter for kernels without XNNPACK. Both are right, and they round differently: a
    label in 10,000 changed, and the accuracy was not the one that a user of the file finds.
    """

    def _make_interpreter(self, **kwargs: Any) -> Interpreter:
        return Interpreter(model_content=kwargs["model_content"], num_threads=1)


def custom_extractors(
    eval_shared_model: Any, eval_config: config_pb2.EvalConfig, tensor_adapter_config: Any
) -> list[extractor.Extractor]:
    """Returns TFMA's default extractors with LiteRT for TFLite models; the Evaluator calls this by its name."""
    predict = None
    if eval_config.model_specs[0].model_type == tfma.TF_LITE:
        predict = tflite_predict_extractor.TFLitePredictExtractor(eval_config, eval_shared_model, LiteRTPredictionDoFn)
    return tfma.default_extractors(
        eval_shared_model=eval_shared_model,
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
        custom_predict_extractor=predict,
    )
