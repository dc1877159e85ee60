"""Which versions the file system offers: sources/storage_path/file_system_storage_path_source.cc.

Read with TensorFlow's own file systems, so that `gs://` is read as the server does.
"""

import re

import tensorflow as tf

from support.serving_model.status import ServingError

_INT64 = range(-(2**63), 2**63)


def version_number(child):
    """ParseVersionNumber: absl::SimpleAtoi, which takes spaces, signs and zeros; else None."""
    if not re.fullmatch(r"[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*", child, re.ASCII):
        return None
    return int(child) if int(child) in _INT64 else None


def poll(entries):
    """PollFileSystemForConfig: {model: {version: path}}.

    One base path that is missing fails the whole poll: nothing is emitted, of any model, and what
    is served stays. One that exists without a version is an empty list: everything is unloaded.
    """
    return {entry.name: _poll_one(entry) for entry in entries}


def _poll_one(entry):
    if not tf.io.gfile.exists(entry.base_path):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Could not find base path {entry.base_path} for servable {entry.name}",
        )
    try:
        listed = tf.io.gfile.listdir(entry.base_path)
    except tf.errors.OpError as error:
        raise ServingError("UNAVAILABLE", str(error)) from error
    children = {child.partition("/")[0] for child in listed}
    found = {}
    for child in sorted(children):  # Of "7" and "07" the later one wins.
        number = version_number(child)
        if number is not None:
            found[number] = tf.io.gfile.join(entry.base_path, child)
    policy = entry.model_version_policy
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "latest":
        count = max(policy.latest.num_versions, 1)
        chosen = sorted(found)[-count:]
    elif kind == "specific":
        chosen = [number for number in found if number in policy.specific.versions]
    else:
        chosen = list(found)
    return {number: found[number] for number in chosen}
