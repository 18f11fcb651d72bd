"""Follow the statements of a script in their order, and note what it makes and asks for."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.config import UserError
from trainer.migration.bound import (
    bound_arguments,
    change_held,
    head_of,
    is_known_path,
    loaded,
    pipeline_parameter,
)
from trainer.migration.evaluate import Evaluator
from trainer.migration.followed import (
    Followed,
    argument_default,
    arguments_of,
    copied,
    field_defaults,
    uploaded_address,
)
from trainer.migration.naming import source_of, unknown
from trainer.migration.scope import Scope
from trainer.migration.shell_jobs import ShellLines, is_shell
from trainer.migration.signatures import (
    ATTACHING,
    METHODS,
    ON_ANY,
    PARAMETERS,
    POSITIONS,
    STARTING,
    UPLOADER,
    is_builder,
)
from trainer.migration.source import Script
from trainer.migration.values import Given, Made, Unknown, Use

# The script's own functions are followed so deep, and so often in all.
_DEEPEST, _MOST = 8, 500
# The most rounds of a loop that are followed one by one.
_ROUNDS = 20
# The most statements that are followed, those of functions each time that they are called.
_MOST_STATEMENTS = 100_000


def follow(script: Script) -> Followed:
    """Follow a script from its first statement to its last.

    Raises:
        UserError: It is nested deeper than any script that people write.
    """
    walker = _Walker(script)
    try:
        walker.statements(script.body, walker.module)
        walker.functions_that_nobody_calls()
    except RecursionError:
        raise UserError(
            subject=script.path, problem="its code is nested too deep, or too long, to be followed"
        ) from None
    return Followed(
        made=tuple(walker.made), uses=tuple(walker.uses), settings=dict(walker.settings)
    )


class _Walker:
    def __init__(self, script: Script) -> None:
        self.module = Scope(values={"__file__": script.path.name})
        self.made: list[Made] = []
        self.uses: list[Use] = []
        self.settings: dict[str, Given] = {}
        self.defaults: dict[str, str] = {}
        self.lines = ShellLines(script=script, settings=self.settings)
        self.returned: list[Any] = []
        self.left: list[tuple[ast.FunctionDef, Scope]] = []
        self.depth = 0
        self.followed: list[str] = []
        self.known: dict[tuple[int, int], tuple[ast.expr, Any]] = {}
        self.count = 0

    def statements(self, body: Iterator[ast.stmt] | Any, scope: Scope) -> None:
        for node in body:
            self.statement(node, scope)

    def look(self, scope: Scope) -> Evaluator:
        return Evaluator(scope, self.call, self.known, self.defaults)

    def statement(self, node: ast.stmt, scope: Scope) -> None:
        self.count += 1
        if self.count > _MOST_STATEMENTS:
            raise RecursionError
        before, self.known = self.known, {}
        self.followed_statement(node, scope, self.look(scope))
        self.known = before

    def followed_statement(self, node: ast.stmt, scope: Scope, look: Evaluator) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            scope.import_names(node)
        elif isinstance(node, ast.FunctionDef):
            scope.functions[node.name] = node
            scope.values.pop(node.name, None)
            self.left.append((node, scope))
        elif isinstance(node, ast.ClassDef):
            # It is none of an SDK's, whatever its name.
            scope.values[node.name] = Unknown(node.name, node.name, node.lineno)
            self.defaults |= field_defaults(node)
            # Methods are read as functions: what they set on self, the others find there.
            self.statements(node.body, scope)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self.assignment(node, scope, look)
        elif isinstance(node, ast.Return):
            self.returned.append(look.value(node.value) if node.value else None)
        elif isinstance(node, ast.Expr):
            self.expression(node.value, scope, look)
        else:
            self.compound(node, scope, look)

    def compound(self, node: ast.stmt, scope: Scope, look: Evaluator) -> None:
        """Follow every branch, as any of them may be taken; the last assignment counts."""
        if isinstance(node, (ast.For, ast.While)):
            self.loop(node, scope, look)
            return
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                look.value(value)
                if name == "target":
                    self.bind(value, unknown(value), scope)
            elif isinstance(value, list):
                for each in value:
                    if isinstance(each, ast.stmt):
                        self.statement(each, scope)
                    elif isinstance(each, ast.withitem):
                        held = look.value(each.context_expr)
                        if each.optional_vars is not None:
                            self.bind(each.optional_vars, held, scope)
                    elif isinstance(each, (ast.ExceptHandler, ast.match_case)):
                        self.statements(each.body, scope)

    def loop(self, node: ast.For | ast.While, scope: Scope, look: Evaluator) -> None:
        """Follow each round of a loop over what is known, and one round of any other."""
        items = look.value(node.iter if isinstance(node, ast.For) else node.test)
        if isinstance(node, ast.For):
            items = [*items] if isinstance(items, dict) else items
            if isinstance(items, list) and 0 < len(items) <= _ROUNDS:
                for item in items:
                    self.bind(node.target, item, scope)
                    self.statements(node.body, scope)
                self.statements(node.orelse, scope)
                return
            self.bind(node.target, unknown(node.target), scope)
        started = len(self.uses)
        self.statements(node.body, scope)
        if any(use.method in STARTING for use in self.uses[started:]):
            self.add(Made(kind="loop", line=node.lineno, label=head_of(node)))
        self.statements(node.orelse, scope)

    def assignment(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope, look: Evaluator
    ) -> None:
        if node.value is None:
            return
        if isinstance(node, ast.AugAssign):
            value = look.value(
                ast.copy_location(ast.BinOp(loaded(node.target), node.op, node.value), node)
            )
            self.bind(node.target, value, scope)
            return
        value = look.value(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self.bind(target, value, scope, named=not isinstance(node.value, ast.Name))

    def bind(self, target: ast.expr, value: Any, scope: Scope, *, named: bool = True) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            many = value if isinstance(value, list) and len(value) == len(target.elts) else None
            for number, each in enumerate(target.elts):
                self.bind(each, many[number] if many else unknown(each), scope)
        elif isinstance(target, (ast.Name, ast.Attribute)):
            name = source_of(target)
            if isinstance(value, Unknown) and named:
                value = dataclasses.replace(value, name=name.rpartition(".")[2])
            scope.values[name] = value
            scope.functions.pop(name, None)
        elif isinstance(target, ast.Subscript):
            self.set_item(target, value, scope)

    def set_item(self, target: ast.Subscript, value: Any, scope: Scope) -> None:
        look = self.look(scope)
        key = None if isinstance(target.slice, ast.Slice) else look.value(target.slice)
        if scope.module_path(target.value) == "os.environ" and isinstance(key, str):
            line = target.lineno
            self.settings[key] = Given(value=value, source=source_of(target), line=line)
            return
        held = look.value(target.value)
        if isinstance(held, dict) and isinstance(key, (str, int)):
            held[key] = value

    def expression(self, node: ast.expr, scope: Scope, look: Evaluator) -> None:
        value = look.value(node)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return
        held = look.value(node.func.value) if not isinstance(value, Made) else None
        change_held(held, node, look)

    def call(self, node: ast.Call, scope: Scope) -> Any:
        """Return what a call makes; None where it is none of the script's own or of a known SDK."""
        look = self.look(scope)
        if isinstance(node.func, ast.Name):
            function = scope.function(node.func.id)
            if function is not None:
                return self.inlined(function, node, scope, look)
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "add_argument":
                self.defaults |= argument_default(node, look)
            base = look.value(node.func.value)
            if isinstance(base, Made):
                return self.use(base, node, look)
            if node.func.attr in ON_ANY and not scope.function(node.func.attr):
                return self.use(Made(kind="Session", line=node.lineno), node, look)
        path = scope.module_path(node.func)
        if is_shell(node, path):
            self.shell(node, look)
        if path is None or not is_known_path(path):
            return None
        if path.endswith(UPLOADER):
            self.uses.append(copied(node, look))
            return self.uses[-1].given["target"].value
        return self.constructed(path, node, look)

    def constructed(self, path: str, node: ast.Call, look: Evaluator) -> Any:
        """Return what a class or a function of an SDK makes."""
        kind = path.rpartition(".")[2]
        if kind in ATTACHING:
            given = arguments_of(node, look, ATTACHING[kind])
            made = Made(kind="attached", given=given, line=node.lineno)
        elif kind in PARAMETERS:
            return pipeline_parameter(arguments_of(node, look, PARAMETERS[kind]), node)
        elif is_builder(path):
            given = arguments_of(node, look, POSITIONS.get(kind, ()))
            made = Made(kind=kind, given=given, line=node.lineno)
        else:
            return None
        return self.add(made)

    def shell(self, node: ast.Call, look: Evaluator) -> None:
        for each in self.lines.objects(node, look):
            if isinstance(each, Made):
                self.made.append(each)
            else:
                self.uses.append(each)

    def add(self, made: Made) -> Made:
        self.made.append(made)
        return made

    def use(self, made: Made, node: ast.Call, look: Evaluator) -> Any:
        method = node.func.attr  # type: ignore[attr-defined]
        if method not in METHODS:
            return None
        given = arguments_of(node, look, METHODS[method])
        use = Use(made=made, method=method, given=given, line=node.lineno)
        self.uses.append(use)
        if method == "upload_data":
            return uploaded_address(use)
        if method.startswith("with_"):
            # It returns the object itself.
            return made
        return self.add(Made(kind=method, given=given, line=node.lineno, owner=made))

    def inlined(
        self, function: ast.FunctionDef, node: ast.Call, scope: Scope, look: Evaluator
    ) -> Any:
        if self.depth >= _DEEPEST or len(self.followed) >= _MOST:
            return None
        given = arguments_of(node, look, [each.arg for each in function.args.args])
        return self.run(function, {name: each.value for name, each in given.items()}, scope)

    def run(self, function: ast.FunctionDef, given: Mapping[str, Any], scope: Scope) -> Any:
        inner = Scope(outer=scope, values=bound_arguments(function, given, self.look(scope)))
        self.followed.append(function.name)
        self.depth += 1
        before, self.returned = self.returned, []
        self.statements(function.body, inner)
        found, self.returned = self.returned, before
        self.depth -= 1
        # The next method finds the attributes that this one has set on self.
        scope.values |= {name: v for name, v in inner.values.items() if name.startswith("self.")}
        return found[-1] if found else None

    def functions_that_nobody_calls(self) -> None:
        for function, scope in self.left:
            if function.name not in self.followed and len(self.followed) < _MOST:
                self.run(function, {}, scope)
