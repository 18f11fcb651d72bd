"""Work out expressions of a script, as far as that needs neither running nor importing it."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trainer.migration.arithmetic import OPERATORS, calculated, is_plain
from trainer.migration.calls import call_value, folder_above, text_method
from trainer.migration.naming import source_of, unknown
from trainer.migration.scope import Scope
from trainer.migration.values import (
    LONGEST,
    Made,
    Text,
    Unknown,
    is_known,
    is_text,
    joined,
)

# A member of an enumeration of Google's, whose name requests have.
_ENUM = re.compile(r"\bAcceleratorType\.([A-Z]\w*)(?:\.name)?$")
# The most rounds of a comprehension that are worked out.
_ROUNDS = 200
Calls = Callable[[ast.Call, Scope], Any]


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Works out expressions in a scope.

    Attributes:
        scope: The names.
        on_call: Works out the calls of the script's own functions and of objects that it made.
        known: What has been worked out in this statement, so that a call is followed once.
        defaults: The defaults of the script's own arguments, by name.
    """

    scope: Scope
    on_call: Calls
    known: dict[tuple[int, int], tuple[ast.expr, Any]]
    defaults: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression; an Unknown where only a run would give it."""
        key = (id(node), id(self.scope))
        if key not in self.known:
            reader: Callable[[Any], Any] | None
            reader = getattr(self, f"_{type(node).__name__.lower()}", None)
            # The node is kept, as another one might get its id.
            self.known[key] = node, reader(node) if reader else unknown(node)
        return self.known[key][1]

    def _constant(self, node: ast.Constant) -> Any:
        return node.value if is_plain(node.value) else unknown(node)

    def _name(self, node: ast.Name) -> Any:
        return self.scope.get(node.id) if self.scope.has(node.id) else unknown(node)

    def _attribute(self, node: ast.Attribute) -> Any:
        dotted = source_of(node)
        if self.scope.has(dotted):
            return self.scope.get(dotted)
        enum = _ENUM.search(dotted)
        if enum:
            return enum[1]
        base = self.value(node.value)
        if isinstance(base, Made):
            return _attribute_of(base, node)
        if isinstance(base, (str, Text)) and node.attr == "parent":
            return _or(folder_above(base), node)
        if isinstance(base, Unknown) and "args" in base.source:
            # An argument of the script's own command line.
            return dataclasses.replace(unknown(node), default=self.defaults.get(node.attr))
        # A field of one of the script's own classes.
        return dataclasses.replace(unknown(node), default=self.defaults.get(f".{node.attr}"))

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        return [*self._items(node.elts)]

    _tuple = _set = _list

    def _items(self, nodes: list[ast.expr]) -> Iterator[Any]:
        for each in nodes:
            if isinstance(each, ast.Starred):
                found = self.value(each.value)
                yield from found if isinstance(found, list) else [unknown(each.value)]
            else:
                yield self.value(each)

    def _dict(self, node: ast.Dict) -> Any:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            held = self.value(value)
            if key is None:
                # Keep an entry for a dictionary whose keys are unknown, so that it is reported.
                found |= held if isinstance(held, dict) else {f"**{source_of(value)}": held}
                continue
            name = self.value(key)
            found[name if isinstance(name, (str, int, float, bool)) else source_of(key)] = held
        return found

    def _dictcomp(self, node: ast.DictComp) -> Any:
        rounds = self._rounds(node.generators)
        if rounds is None:
            return unknown(node)
        pairs = [(look.value(node.key), look.value(node.value)) for look in rounds]
        usable = all(isinstance(name, (str, int)) for name, _ in pairs)
        return dict(pairs) if usable else unknown(node)

    def _listcomp(self, node: ast.ListComp) -> Any:
        rounds = self._rounds(node.generators)
        return unknown(node) if rounds is None else [look.value(node.elt) for look in rounds]

    def _rounds(self, generators: list[ast.comprehension]) -> list[Evaluator] | None:
        """Return what works out each round of a comprehension; None where that is not known."""
        each = generators[0]
        items = self.value(each.iter)
        if len(generators) > 1 or each.ifs or not isinstance(items, list) or len(items) > _ROUNDS:
            return None
        names = each.target.elts if isinstance(each.target, ast.Tuple) else [each.target]
        rounds = []
        for item in items:
            values = item if isinstance(each.target, ast.Tuple) else [item]
            if not isinstance(values, list) or len(values) != len(names):
                return None
            bound = {n.id: v for n, v in zip(names, values, strict=True) if isinstance(n, ast.Name)}
            inner = Scope(values=bound, outer=self.scope)
            rounds.append(Evaluator(inner, self.on_call, {}, self.defaults))
        return rounds

    def _joinedstr(self, node: ast.JoinedStr) -> Any:
        return self._joined(node, *node.values)

    def _joined(self, node: ast.expr, *parts: ast.expr) -> Any:
        found = joined(*(self.value(part) for part in parts))
        return unknown(node) if found is None else found

    def _formattedvalue(self, node: ast.FormattedValue) -> Any:
        plain = node.conversion in (-1, ord("s")) and node.format_spec is None
        found = self.value(node.value) if plain else None
        # A default of None is replaced by whoever calls the function.
        return unknown(node.value) if found is None else found

    def _ifexp(self, node: ast.IfExp) -> Any:
        test = self.value(node.test)
        return self.value(node.body if test else node.orelse) if is_known(test) else unknown(node)

    def _boolop(self, node: ast.BoolOp) -> Any:
        found: Any = None
        for each in node.values:
            found = self.value(each)
            if not is_known(found):
                return unknown(node)
            if bool(found) is isinstance(node.op, ast.Or):
                break
        return found

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not) and is_known(value):
            return not value
        if isinstance(node.op, ast.USub) and isinstance(value, (int, float)):
            return -value
        return unknown(node)

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Add) and is_text(left) and is_text(right):
            found = joined(left, right)
            return unknown(node) if found is None else found
        if isinstance(node.op, ast.Div) and is_text(left) and isinstance(right, (str, Text)):
            # Of a path.
            return _or(call_value("os.path.join", [left, right], {}), node)
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            return _or(text_method(left, "%", [right]), node)
        if isinstance(node.op, (ast.Add, ast.BitOr)) and type(left) is type(right):
            if isinstance(left, list) and isinstance(node.op, ast.Add):
                return [*left, *right] if len(left) + len(right) < LONGEST else unknown(node)
            if isinstance(left, dict) and isinstance(node.op, ast.BitOr):
                return {**left, **right}
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if not numbers or type(node.op) not in OPERATORS:
            return unknown(node)
        return _or(calculated(node.op, left, right), node)

    def _subscript(self, node: ast.Subscript) -> Any:
        base = self.value(node.value)
        key = None if isinstance(node.slice, ast.Slice) else self.value(node.slice)
        try:
            usable = isinstance(base, (list, dict, str)) and isinstance(key, (str, int))
            return base[key] if usable else unknown(node)
        except (KeyError, IndexError, TypeError):
            return unknown(node)

    def _call(self, node: ast.Call) -> Any:
        found = self.on_call(node, self.scope)
        if found is not None:
            return found
        path = self.scope.module_path(node.func)
        if isinstance(node.func, ast.Attribute) and (path is None or "." not in path):
            base = self.value(node.func.value)
            if isinstance(base, (str, Text)):
                args = [*self._items(node.args)]
                more = {each.arg: self.value(each.value) for each in node.keywords if each.arg}
                return _or(text_method(base, node.func.attr, args, more), node)
            if isinstance(base, dict) and node.func.attr in ("copy", "get", "items"):
                return self._of_dict(base, node)
        keywords = {each.arg: self.value(each.value) for each in node.keywords if each.arg}
        if path == "dict":
            for each in node.keywords:
                held = self.value(each.value) if each.arg is None else None
                keywords = {**held, **keywords} if isinstance(held, dict) else keywords
        name = path or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
        return _or(call_value(name, [*self._items(node.args)], keywords), node)

    def _of_dict(self, base: dict[Any, Any], node: ast.Call) -> Any:
        args = [*self._items(node.args)]
        if node.func.attr == "copy":  # type: ignore[attr-defined]
            return dict(base)
        if node.func.attr == "items":  # type: ignore[attr-defined]
            return [[name, value] for name, value in base.items()]
        if args and isinstance(args[0], str) and args[0] in base:
            return base[args[0]]
        return args[1] if len(args) > 1 else None


def _or(found: Any, node: ast.expr) -> Any:
    """Return what was found, an Unknown where nothing was."""
    if isinstance(found, Unknown):
        source = found.source or source_of(node)
        return dataclasses.replace(found, source=source, line=node.lineno)
    return unknown(node) if found is None else found


def _attribute_of(made: Made, node: ast.Attribute) -> Any:
    """Return an attribute of an object that the script made: `session.region_name`."""
    known = {"region_name": "region_name", "boto_region_name": "region_name"}
    value = made.value(known.get(node.attr, node.attr))
    return unknown(node) if value is None else value
