"""EfficiencyValidator's executor: artifacts in, one validation, a blessing and a report out."""

import logging
from dataclasses import fields
from typing import Any

from tfx_shrink.efficiency_validator.settings import Thresholds
from tfx_shrink.tfx_seam.artifacts import (
    example_patterns,
    is_infra_blessed,
    mark_infra_blessing,
    optional_uri,
    saved_model_dir,
    schema_path,
    set_custom_properties,
)
from tfx_shrink.tfx_seam.components import BaseBeamExecutor, artifact_utils, json_utils

_log = logging.getLogger(__name__)

# One is a mapping, and travels as JSON.
_NUMBERS = [field.name for field in fields(Thresholds) if field.name != "max_latency_ms"]
_SETTINGS = ("num_examples", "seed", "metric", "threads", "rounds", "time_limit")
# Inputs between the two models, in the order in which they are made.
_BETWEEN = {"distilled_model": "distilled", "pruned_model": "pruned"}


class Executor(BaseBeamExecutor):
    """Validates a model; its rows are drawn by the pipeline's own Beam runner."""

    def Do(  # noqa: D102
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        # Pipeline authors need not wait for these.
        from tfx_shrink.efficiency_validator.checks import failed_check
        from tfx_shrink.efficiency_validator.validate import validate

        self._log_startup(input_dict, output_dict, exec_properties)
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        report = artifact_utils.get_single_instance(output_dict["report"])
        limits = exec_properties.get("max_latency_ms")
        refused_before = []
        if input_dict.get("infra_blessing") and not is_infra_blessed(input_dict["infra_blessing"]):
            refused_before.append(
                failed_check("infra_blessing", "a model that it blesses", "it does not")
            )
        found = validate(
            saved_model_dir(input_dict["model"]),
            saved_model_dir(input_dict["baseline_model"]),
            report.uri,
            examples=example_patterns(
                input_dict["examples"], json_utils.loads(exec_properties["splits"])
            ),
            thresholds=Thresholds(
                max_latency_ms=json_utils.loads(limits) if limits else None,
                **{name: exec_properties.get(name) for name in _NUMBERS},
            ),
            refused_before=refused_before,
            between={
                name: saved_model_dir(input_dict[key])
                for key, name in _BETWEEN.items()
                if input_dict.get(key)
            },
            transform_graph=optional_uri(input_dict, "transform_graph"),
            schema=schema_path(input_dict),
            evaluation=self._metrics(input_dict),
            make_pipeline=self._make_beam_pipeline,
            temp_dir=self._get_tmp_dir(),
            label_key=exec_properties.get("label_key") or None,
            output_name=exec_properties.get("output_name") or None,
            slice_keys=tuple(json_utils.loads(exec_properties["slice_keys"])),
            batch_sizes=tuple(json_utils.loads(exec_properties["batch_sizes"])),
            **{name: exec_properties[name] for name in _SETTINGS},
        )
        reasons = found.reasons
        for reason in reasons:
            _log.warning("Not blessed: %s", reason)
        mark_infra_blessing(blessing, not reasons)
        set_custom_properties(blessing, {"reasons": "\n".join(reasons)})
        set_custom_properties(report, {"blessed": int(not reasons)})

    def _metrics(self, input_dict: dict[str, list[Any]]) -> list[dict[str, Any]]:
        uri = optional_uri(input_dict, "evaluation")
        if uri is None:
            return []
        from tfx_shrink.evaluation.results import read_metrics

        return read_metrics(uri)
