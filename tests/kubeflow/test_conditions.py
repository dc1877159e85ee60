"""Conditions, as TFX writes them and KFP's driver evaluates them."""

import pytest

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.launcher.conditions import holds

BLESSING = "inputs.artifacts['_Evaluator.blessing'].artifacts[0]"


def task(**metadata):
    artifact = {"uri": "minio://b/x", "metadata": metadata}
    return {"inputs": {"artifacts": {"_Evaluator.blessing": {"artifacts": [artifact]}}}}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"({BLESSING}.metadata['blessed'] == 1.0)", True),
        (f"!(({BLESSING}.metadata['blessed'] == 1.0))", False),
        (f"({BLESSING}.metadata['blessed'] > 0.5) && ({BLESSING}.uri == 'minio://b/x')", True),
        (f"(({BLESSING}.uri == 'a && b') || ({BLESSING}.metadata['blessed'] < 0.0))", False),
        (f"({BLESSING}.uri == ('minio://' + 'b/x'))", True),
        (f"({BLESSING}.metadata['name'] == 'a || !b')", True),
    ],
)
def test_a_condition_is_evaluated(condition, expected):
    assert holds(condition, task(blessed=1, name="a || !b")) is expected


def test_what_is_not_there_is_an_error_as_in_the_driver():
    with pytest.raises(RunError, match="no such key: pushed"):
        holds(f"({BLESSING}.metadata['pushed'] == 1.0)", task(blessed=1))


@pytest.mark.parametrize("condition", ["1.0", "open('x')", "(1.0 ==", "1.0 in inputs"])
def test_what_is_no_condition_is_an_error(condition):
    with pytest.raises(RunError):
        holds(condition, task())
