"""Quantizer's executor: artifacts in, one call of the technique, artifacts out."""

from typing import Any

from tfx_shrink.errors import ExamplesError
from tfx_shrink.tfx_seam.components import (
    BaseBeamExecutor,
    artifact_utils,
    io_utils,
    json_utils,
    path_utils,
)

_TFRECORDS_OF_EXAMPLES = ("", "FORMAT_TF_EXAMPLE")


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
        base_model = artifact_utils.get_single_instance(input_dict["base_model"])
        model = artifact_utils.get_single_instance(output_dict["model"])
        search = exec_properties.get("search")
        report_splits = json_utils.loads(exec_properties["report_splits"]) if search else []
        done = quantize(
            path_utils.serving_model_path(
                base_model.uri, path_utils.is_old_model_artifact(base_model)
            ),
            path_utils.serving_model_dir(model.uri),
            scheme=exec_properties["scheme"],
            examples=_patterns(input_dict["examples"], json_utils.loads(exec_properties["splits"])),
            transform_graph=_optional_uri(input_dict, "transform_graph"),
            schema=_schema_path(input_dict),
            seed=exec_properties["seed"],
            search=as_search(json_utils.loads(search)) if search else None,
            report_examples=_patterns(input_dict["examples"], report_splits),
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
        model.set_string_custom_property("compression_technique", "quantize")
        model.set_string_custom_property("compression_scheme", done.scheme)
        model.set_string_custom_property(
            "compression_source_signature", done.source_signature or "every signature"
        )
        model.set_int_custom_property("compression_source_bytes", done.source.bytes)
        model.set_int_custom_property("compression_result_bytes", done.result.bytes)
        model.set_float_custom_property("compression_max_output_difference", done.difference.max)
        model.set_float_custom_property("compression_p99_output_difference", done.difference.p99)


def _patterns(examples: list[Any], splits: list[str]) -> list[str]:
    """Glob patterns of the named splits' files."""
    for artifact in examples:
        payload = artifact.get_string_custom_property("payload_format")
        if payload not in _TFRECORDS_OF_EXAMPLES:
            raise ExamplesError(
                f"`examples` must hold TFRecords of tf.Examples; {artifact.uri} is marked as "
                f"{payload}. Give Transform's transformed_examples instead."
            )
        known = artifact_utils.decode_split_names(artifact.split_names)
        if unknown := sorted(set(splits) - set(known)):
            raise ExamplesError(f"`splits` {unknown} are not in {artifact.uri}, which has {known}.")
    return [
        io_utils.all_files_pattern(uri)
        for split in splits
        for uri in artifact_utils.get_split_uris(examples, split)
    ]


def _optional_uri(input_dict: dict[str, list[Any]], key: str) -> str | None:
    return artifact_utils.get_single_uri(input_dict[key]) if input_dict.get(key) else None


def _schema_path(input_dict: dict[str, list[Any]]) -> str | None:
    uri = _optional_uri(input_dict, "schema")
    return io_utils.get_only_uri_in_dir(uri) if uri else None
