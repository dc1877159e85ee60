"""Distiller's executor: artifacts in, one call of the technique, artifacts out."""

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
    """Distills a model; its teacher is asked on the pipeline's own Beam runner."""

    def Do(  # noqa: D102
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        # Pipeline authors need not wait for these.
        from tfx_shrink.distiller.distill import USER_FUNCTIONS, distill
        from tfx_shrink.distiller.student import bind_student
        from tfx_shrink.tfx_seam.user_modules import make_fn_args, user_functions

        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict["model"])
        log_dir = artifact_utils.get_single_uri(output_dict["model_run"])
        num_steps, splits = steps_and_splits(exec_properties)
        eval_splits = json_utils.loads(exec_properties["eval_splits"])
        pairs = exec_properties.get("feature_pairs")
        teacher_dir = saved_model_dir(input_dict["teacher_model"])
        rows: dict[str, Any] = {
            "examples": example_patterns(input_dict["examples"], splits),
            "eval_examples": (
                example_patterns(input_dict["examples"], eval_splits) if eval_splits else None
            ),
            "transform_graph": optional_uri(input_dict, "transform_graph"),
            "schema": schema_path(input_dict),
        }
        with (
            kept_work(exec_properties, model) as kept_in,
            user_functions(exec_properties, USER_FUNCTIONS) as functions,
        ):
            student_fn = functions.pop("student_fn", None)
            fn_args = make_fn_args(
                input_dict["examples"],
                **rows,
                base_model=teacher_dir,
                train_steps=num_steps,
                model_run_dir=log_dir,
            )
            done = distill(
                teacher_dir,
                path_utils.serving_model_dir(model.uri),
                student=exec_properties.get("student") or bind_student(student_fn, fn_args),
                **rows,
                user_functions=functions,
                work_dir=kept_in,
                log_dir=log_dir,
                make_pipeline=self._make_beam_pipeline,
                temp_dir=self._get_tmp_dir(),
                width=exec_properties.get("width"),
                signature_name=exec_properties.get("signature_name") or None,
                temperature=exec_properties["temperature"],
                alpha=exec_properties["alpha"],
                loss=exec_properties["loss"],
                feature_pairs=json_utils.loads(pairs) if pairs else None,
                label_key=exec_properties.get("label_key") or None,
                epochs=exec_properties.get("epochs"),
                num_steps=num_steps,
                batch_size=exec_properties["batch_size"],
                learning_rate=exec_properties["learning_rate"],
                patience=exec_properties.get("patience"),
                teacher_pass=exec_properties["teacher_pass"],
                control=bool(exec_properties["control"]),
                drop_signatures=tuple(json_utils.loads(exec_properties["drop_signatures"])),
                strategy=exec_properties["strategy"],
                seed=exec_properties["seed"],
            )
        set_custom_properties(
            model,
            {
                "compression_technique": "distill",
                "compression_loss": done.facts["loss_taken"],
                "compression_student_parameters": done.student_parameters,
                "compression_teacher_parameters": done.teacher_parameters,
                "compression_source_bytes": done.source.bytes,
                "compression_result_bytes": done.result.bytes,
                "compression_source_gzip_bytes": done.source_gzip,
                "compression_result_gzip_bytes": done.result_gzip,
                "compression_max_output_difference": done.difference.max,
                "compression_p99_output_difference": done.difference.p99,
            },
        )
