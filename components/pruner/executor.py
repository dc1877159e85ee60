"""Pruner's executor: artifacts in, one call of the technique, artifacts out."""

from typing import Any

from tfx_shrink.tfx_seam.artifacts import (
    example_patterns,
    optional_uri,
    saved_model_dir,
    schema_path,
    set_custom_properties,
)
from tfx_shrink.tfx_seam.components import (
    BaseBeamExecutor,
    artifact_utils,
    json_utils,
    path_utils,
)
from tfx_shrink.tfx_seam.train_args import steps_and_splits
from tfx_shrink.tfx_seam.work_dirs import kept_work


class Executor(BaseBeamExecutor):
    """Prunes a model; the rows of its proof are drawn by the pipeline's own Beam runner."""

    def Do(  # noqa: D102
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        # Pipeline authors need not wait for these.
        from tfx_shrink.pruner.prune import USER_FUNCTIONS, prune
        from tfx_shrink.tfx_seam.user_modules import user_functions

        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict["model"])
        num_steps, splits = steps_and_splits(exec_properties)
        layers = exec_properties.get("layers")
        with (
            kept_work(exec_properties, model) as kept_in,
            user_functions(exec_properties, USER_FUNCTIONS) as functions,
        ):
            done = prune(
                saved_model_dir(input_dict["base_model"]),
                path_utils.serving_model_dir(model.uri),
                examples=example_patterns(input_dict["examples"], splits),
                transform_graph=optional_uri(input_dict, "transform_graph"),
                schema=schema_path(input_dict),
                user_functions=functions,
                work_dir=kept_in,
                log_dir=artifact_utils.get_single_uri(output_dict["model_run"]),
                make_pipeline=self._make_beam_pipeline,
                temp_dir=self._get_tmp_dir(),
                target_sparsity=exec_properties.get("target_sparsity"),
                pattern=exec_properties["pattern"],
                schedule=exec_properties["schedule"],
                scope=exec_properties["scope"],
                method=exec_properties["method"],
                label_key=exec_properties.get("label_key") or None,
                epochs=exec_properties.get("epochs"),
                num_steps=num_steps,
                batch_size=exec_properties["batch_size"],
                learning_rate=exec_properties.get("learning_rate"),
                loss=exec_properties.get("loss") or None,
                layers=json_utils.loads(layers) if layers else None,
                skip_layers=json_utils.loads(exec_properties["skip_layers"]),
                drop_signatures=json_utils.loads(exec_properties["drop_signatures"]),
                strategy=exec_properties["strategy"],
                seed=exec_properties["seed"],
            )
        set_custom_properties(
            model,
            {
                "compression_technique": "prune",
                "compression_pattern": exec_properties["pattern"],
                "compression_method": done.method,
                "compression_sparsity": done.sparsity,
                "compression_source_bytes": done.source.bytes,
                "compression_result_bytes": done.result.bytes,
                "compression_source_gzip_bytes": done.source_gzip,
                "compression_result_gzip_bytes": done.result_gzip,
                "compression_max_output_difference": done.difference.max,
                "compression_p99_output_difference": done.difference.p99,
            },
        )
