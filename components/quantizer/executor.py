"""Quantizer's executor: artifacts in, one call of the technique, artifacts out."""

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


class Executor(BaseBeamExecutor):
    """Quantizes a model; its rows are drawn by the pipeline's own Beam runner."""

    def Do(  # noqa: D102
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        # Pipeline authors need not wait for these.
        from tfx_shrink.quantizer.quantize import quantize
        from tfx_shrink.quantizer.settings import as_search

        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict["model"])
        search = exec_properties.get("search")
        splits = json_utils.loads(exec_properties["splits"])
        report_splits = json_utils.loads(exec_properties["report_splits"]) if search else []
        done = quantize(
            saved_model_dir(input_dict["base_model"]),
            path_utils.serving_model_dir(model.uri),
            scheme=exec_properties["scheme"],
            examples=example_patterns(input_dict["examples"], splits),
            transform_graph=optional_uri(input_dict, "transform_graph"),
            schema=schema_path(input_dict),
            seed=exec_properties["seed"],
            search=as_search(json_utils.loads(search)) if search else None,
            report_examples=example_patterns(input_dict["examples"], report_splits),
            make_pipeline=self._make_beam_pipeline,
            temp_dir=self._get_tmp_dir(),
            signature_name=exec_properties.get("signature_name") or None,
            num_calibration_examples=exec_properties["num_calibration_examples"],
            time_limit=exec_properties["time_limit"],
            max_output_difference=exec_properties.get("max_output_difference"),
            encode_sparsity=bool(exec_properties["encode_sparsity"]),
            allow_select_tf_ops=bool(exec_properties["allow_select_tf_ops"]),
            engine_batch_sizes=json_utils.loads(exec_properties["engine_batch_sizes"]),
            edge_recipe=exec_properties.get("edge_recipe") or None,
        )
        set_custom_properties(
            model,
            {
                "compression_technique": "quantize",
                "compression_scheme": done.scheme,
                "compression_source_signature": done.source_signature or "every signature",
                "compression_source_bytes": done.source.bytes,
                "compression_result_bytes": done.result.bytes,
                "compression_max_output_difference": done.difference.max,
                "compression_p99_output_difference": done.difference.p99,
            },
        )
