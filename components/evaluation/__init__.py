"""The module that lets the stock Evaluator judge a TFLite model beside a SavedModel.

TFMA alone refuses the pair (`NotImplementedError: support for mixing tf_lite and non-tf_lite
models`), and its TFLite extractor truncates quantized inputs and reads no raw Examples. With this
module labels, slices, metrics, thresholds and the blessing are all stock; only a TFLite model is
wrapped so that TFMA sees a SavedModel. Each model's type is read from its files, so `model_type`
stays unset, and a SavedModel candidate is evaluated exactly as without the module.

Example:
  ```python
  evaluator = Evaluator(
      model=quantizer.outputs["model"],
      baseline_model=trainer.outputs["model"],
      examples=example_gen.outputs["examples"],
      eval_config=tfma.EvalConfig(
          model_specs=[
              tfma.ModelSpec(
                  signature_name="serving_default",
                  label_key="label",
                  preprocessing_function_names=["transform_features"],
              )
          ],
          ...,
      ),
      module_path="tfx_shrink.evaluation",
  )
  ```

Raw Examples are transformed by the baseline, which a TFLite candidate therefore needs; transformed
Examples need neither the baseline nor `preprocessing_function_names`. Put thresholds on
`MetricConfig`s: a Keras baseline brings in-graph metrics that a TFLite candidate does not have.
"""

import os
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.evaluation.served_tflite import ServedTFLiteLoader
from tfx_shrink.model_files import EVALUATED_TFLITE, SAVED_MODEL, SERVING_DEFAULT

__all__ = ["custom_eval_shared_model", "custom_extractors"]


def custom_eval_shared_model(
    eval_saved_model_path: str, model_name: str, eval_config: tfma.EvalConfig, **kwargs: Any
) -> tfma.types.EvalSharedModel:
    """Loads a model as what its files say it is; called by the stock Evaluator.

    Args:
      eval_saved_model_path: The model's directory.
      model_name: Which `ModelSpec` it belongs to.
      eval_config: The Evaluator's configuration; left unchanged.
      **kwargs: Passed on to `tfma.default_eval_shared_model`.

    Returns:
      The shared model.

    Raises:
      ModelError: The directory holds neither a SavedModel nor a TFLite file.
    """
    files = {
        name
        for name in (EVALUATED_TFLITE, SAVED_MODEL, f"{SAVED_MODEL}txt")
        if tf.io.gfile.exists(os.path.join(eval_saved_model_path, name))
    }
    if not files:
        raise ModelError(
            f"{model_name or 'The candidate'}: there is neither saved_model.pb nor tflite in "
            f"{eval_saved_model_path}. Give the Evaluator a Model artifact that holds one."
        )
    config = tfma.EvalConfig()
    config.CopyFrom(eval_config)
    spec = _spec(config, model_name)
    if files == {EVALUATED_TFLITE}:
        spec.model_type = tfma.TF_LITE
    elif spec.model_type == tfma.TF_LITE and EVALUATED_TFLITE not in files:
        spec.ClearField("model_type")  # It was meant for the other model.
    return tfma.default_eval_shared_model(
        eval_saved_model_path=eval_saved_model_path,
        model_name=model_name,
        eval_config=config,
        **kwargs,
    )


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any
) -> list[tfma.extractors.Extractor]:
    """Makes TFMA's own extractors, with TFLite models wrapped; called by the stock Evaluator.

    Args:
      eval_shared_model: One shared model, or the list of candidate and baseline.
      eval_config: The Evaluator's configuration.
      tensor_adapter_config: As TFX gives it.

    Returns:
      What `tfma.default_extractors` returns.

    Raises:
      ModelError: A TFLite candidate is to read raw Examples and there is no baseline to transform
        them.
    """
    # An EvalSharedModel is itself a tuple.
    models = eval_shared_model if isinstance(eval_shared_model, list) else [eval_shared_model]
    baseline = next(
        (model for model in models if model.is_baseline and model.model_type != tfma.TF_LITE), None
    )
    wrapped = [
        _wrap(model, baseline, _spec(eval_config, model.model_name))
        if model.model_type == tfma.TF_LITE
        else model
        for model in models
    ]
    return tfma.default_extractors(
        eval_shared_model=wrapped if len(wrapped) > 1 else wrapped[0],
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )


def _wrap(
    model: tfma.types.EvalSharedModel,
    baseline: tfma.types.EvalSharedModel | None,
    spec: tfma.ModelSpec,
) -> tfma.types.EvalSharedModel:
    preprocessing = list(spec.preprocessing_function_names)
    if preprocessing and baseline is None:
        raise ModelError(
            f"{model.model_path} holds a TFLite model, which cannot read raw Examples, and "
            f"preprocessing_function_names={preprocessing} needs a SavedModel to run in. Give the "
            "Evaluator baseline_model=trainer.outputs['model'], or transformed examples and no "
            "preprocessing_function_names."
        )
    loader = ServedTFLiteLoader(
        model.model_loader,
        baseline.model_loader if baseline else None,
        spec.signature_name or SERVING_DEFAULT,
        preprocessing,
    )
    return model._replace(
        model_type=tfma.TF_GENERIC, model_loader=tfma.types.ModelLoader(construct_fn=loader)
    )


def _spec(eval_config: tfma.EvalConfig, model_name: str) -> tfma.ModelSpec:
    specs = eval_config.model_specs
    for spec in specs:
        if len(specs) == 1 or spec.name == model_name:
            return spec
    raise ParameterError(
        f"EvalConfig.model_specs has the names {[spec.name for spec in specs]}; the Evaluator asks "
        f"for {model_name!r}. Give one ModelSpec without a name, or 'candidate' and 'baseline'."
    )
