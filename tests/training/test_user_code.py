"""User code is found by path or by file, and its text belongs to the key of the work."""

import sys

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.training.user_code import code_digest, load_functions

NAMES = ("input_fn", "compile_fn")


@pytest.fixture
def module_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def compile_fn(model):\n    model.compile('sgd', 'mse')\n")
    return path


def test_functions_are_found_by_file_and_by_path(module_file, monkeypatch):
    found = load_functions(None, str(module_file), NAMES)
    assert list(found) == ["compile_fn"]
    monkeypatch.syspath_prepend(str(module_file.parent))
    assert list(load_functions("mine", None, NAMES)) == ["compile_fn"]
    del sys.modules["mine"]
    assert load_functions(None, None, NAMES) == {}


def test_modules_that_cannot_be_meant_are_refused(module_file, tmp_path):
    with pytest.raises(ParameterError, match="not both"):
        load_functions("mine", str(module_file), NAMES)
    with pytest.raises(ParameterError, match=r"at least one of \['input_fn'\]"):
        load_functions(None, str(module_file), ["input_fn"])
    with pytest.raises(ParameterError, match=r"cannot be imported.*'no\.such\.module'"):
        load_functions("no.such.module", None, NAMES)
    with pytest.raises(ParameterError, match="must be a Python file"):
        load_functions(None, str(tmp_path / "none.py"), NAMES)


def test_other_code_has_another_digest(module_file):
    before = code_digest(load_functions(None, str(module_file), NAMES))
    assert code_digest(load_functions(None, str(module_file), NAMES)) == before
    module_file.write_text(module_file.read_text().replace("sgd", "adam"))
    assert code_digest(load_functions(None, str(module_file), NAMES)) != before
