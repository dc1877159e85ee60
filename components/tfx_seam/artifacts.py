"""Artifacts as executors read and mark them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfx.components.util import model_utils
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from tfx_shrink.errors import ExamplesError, ParameterError

_TFRECORDS_OF_EXAMPLES = ("", "FORMAT_TF_EXAMPLE")


def check_split_names(name: str, value: Sequence[str]) -> None:
    """Checks a component's parameter that names splits.

    Raises:
      ParameterError: It is one string, or names none.
    """
    if isinstance(value, str) or not value:
        raise ParameterError(
            f"`{name}` must be a sequence of at least one split's name, such as ['train']. "
            f"Received: {name}={value!r}."
        )


def saved_model_dir(models: list[Any]) -> str:
    """Returns the directory of the SavedModel in the one Model artifact of an input."""
    model = artifact_utils.get_single_instance(models)
    return path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))


def example_patterns(examples: list[Any], splits: Sequence[str]) -> list[str]:
    """Returns glob patterns of the named splits' files.

    Raises:
      ExamplesError: An artifact has no such split, or holds anything but TFRecords of tf.Examples.
    """
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


def all_example_patterns(examples: list[Any]) -> list[str]:
    """Returns glob patterns of every split's files; see `example_patterns`."""
    known = [set(artifact_utils.decode_split_names(artifact.split_names)) for artifact in examples]
    return example_patterns(examples, sorted(set.intersection(*known)))


def optional_uri(input_dict: Mapping[str, list[Any]], key: str) -> str | None:
    """Returns the URI of the one artifact of an optional input, or None."""
    return artifact_utils.get_single_uri(input_dict[key]) if input_dict.get(key) else None


def schema_path(input_dict: Mapping[str, list[Any]]) -> str | None:
    """Returns the path of the schema's text proto, or None."""
    uri = optional_uri(input_dict, "schema")
    return io_utils.get_only_uri_in_dir(uri) if uri else None


def set_custom_properties(artifact: Any, properties: Mapping[str, str | int | float]) -> None:
    """Writes custom properties to an artifact, each by its type."""
    setters = {
        str: artifact.set_string_custom_property,
        int: artifact.set_int_custom_property,
        float: artifact.set_float_custom_property,
    }
    for name, value in properties.items():
        setters[type(value)](name, value)


def mark_infra_blessing(blessing: Any, blessed: bool) -> None:
    """Blesses a model, or does not, as the stock InfraValidator writes it: property and file."""
    from tfx.components.infra_validator import executor

    (executor._mark_blessed if blessed else executor._mark_not_blessed)(blessing)


def is_infra_blessed(blessings: list[Any]) -> bool:
    """Returns whether the one InfraBlessing of an input blesses its model."""
    return model_utils.is_infra_validated(artifact_utils.get_single_instance(blessings))
