"""Evaluates `triggerPolicy.condition`, as far as TFX writes it.

The language is CEL; KFP's driver evaluates it over the ExecutorInput. Source:
backend/src/v2/expression/expression.go, and `placeholder_to_cel` of TFX's compiler_utils.py.
"""

import ast
import re
from typing import Any

from tfx_shrink.errors import RunError

# Strings first, so that operators inside them stay.
_TOKEN = re.compile(r"'[^']*'|&&|\|\||!(?!=)")
_PYTHON = {"&&": " and ", "||": " or ", "!": " not "}


def holds(condition: str, executor_input: dict[str, Any]) -> bool:
    """Tells whether a task's condition is met.

    Args:
      condition: In CEL: comparisons of artifacts' metadata and URIs with constants, joined by
        `&&`, `||` and `!`.
      executor_input: The task's ExecutorInput.

    Raises:
      RunError: The condition reads what is not there, or is no condition.
    """
    text = _TOKEN.sub(lambda found: _PYTHON.get(found[0], found[0]), condition).strip()
    try:
        value = _evaluate(ast.parse(text, mode="eval").body, executor_input)
    except SyntaxError as error:
        raise RunError(f"The condition {condition!r} cannot be read: {error.msg}.") from error
    except (KeyError, IndexError) as error:
        raise RunError(
            f"The condition {condition!r} stops with: evaluation error: no such key: "
            f"{error.args[0]}."
        ) from error
    if not isinstance(value, bool):
        raise RunError(f"The condition {condition!r} is {value!r}, and no bool.")
    return value


def _evaluate(node: ast.expr, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.Attribute():
            return _evaluate(node.value, names)[node.attr]
        case ast.Subscript():
            return _evaluate(node.value, names)[_evaluate(node.slice, names)]
        case ast.BoolOp(op=ast.And()):
            return all(_evaluate(value, names) for value in node.values)
        case ast.BoolOp(op=ast.Or()):
            return any(_evaluate(value, names) for value in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _evaluate(node.operand, names)
        case ast.BinOp(op=ast.Add()):
            return _evaluate(node.left, names) + _evaluate(node.right, names)
        case ast.Compare(ops=[operator]):
            return _compare(
                operator, _evaluate(node.left, names), _evaluate(node.comparators[0], names)
            )
    raise RunError(f"A condition holds what TFX does not write: {ast.unparse(node)}.")


def _compare(operator: ast.cmpop, left: Any, right: Any) -> bool:
    match operator:
        case ast.Eq():
            return left == right
        case ast.NotEq():
            return left != right
        case ast.Lt():
            return left < right
        case ast.Gt():
            return left > right
    raise RunError(f"A condition compares by {type(operator).__name__}, which TFX does not write.")
