"""Arguments of the script's own functions, and what of its calls is an SDK's."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from trainer.migration.calls import default_text
from trainer.migration.evaluate import Evaluator
from trainer.migration.naming import source_of
from trainer.migration.scope import ROOTS
from trainer.migration.signatures import BUILDERS
from trainer.migration.values import Given, Unknown


def bound_arguments(
    function: ast.FunctionDef, given: Mapping[str, Any], look: Evaluator
) -> dict[str, Any]:
    """Return the values that a function's arguments have in a call, by name."""
    found: dict[str, Any] = {}
    names = function.args
    defaults = [None] * (len(names.args) - len(names.defaults)) + [*names.defaults]
    for each, default in [
        *zip(names.args, defaults, strict=True),
        *zip(names.kwonlyargs, names.kw_defaults, strict=True),
    ]:
        missing = Unknown(name=each.arg, source=each.arg, line=each.lineno)
        otherwise = look.value(default) if default is not None else missing
        found[each.arg] = given.get(each.arg, otherwise)
    if names.kwarg and given:
        more = {name: value for name, value in given.items() if name not in found}
        found[names.kwarg.arg] = more
    return found


def pipeline_parameter(given: Mapping[str, Given], node: ast.Call) -> Unknown:
    """Return what a parameter of a pipeline stands for, with its default."""
    name = given["name"].value if "name" in given else ""
    value = given["default_value"].value if "default_value" in given else None
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name) if isinstance(name, str) else ""
    return Unknown(plain, source_of(node), node.lineno, default_text(value))


def change_held(held: Any, node: ast.Call, look: Evaluator) -> None:
    """Change a dictionary or a list as a call of its method does: `update`, `append` and so on."""
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if isinstance(held, dict) and method == "update":
        for each in [look.value(arg) for arg in node.args]:
            held.update(each if isinstance(each, dict) else {})
        held.update({k.arg: look.value(k.value) for k in node.keywords if k.arg})
    elif isinstance(held, dict) and method in ("setdefault", "pop") and node.args:
        name = look.value(node.args[0])
        if method == "pop" and isinstance(name, (str, int)):
            held.pop(name, None)
        elif isinstance(name, (str, int)):
            held.setdefault(name, look.value(node.args[-1]))
    elif isinstance(held, list) and method == "append" and node.args:
        held.append(look.value(node.args[0]))


def head_of(node: ast.For | ast.While) -> str:
    """Return the line that begins a loop."""
    if isinstance(node, ast.While):
        return f"while {source_of(node.test)}"
    return f"for {source_of(node.target)} in {source_of(node.iter)}"


def is_known_path(path: str) -> bool:
    """Return whether a path is of one of the SDKs, or of no module at all."""
    first, dot, _ = path.partition(".")
    if dot:
        return first in ROOTS
    return path in BUILDERS


def loaded(target: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(target), mode="eval").body
