"""The names of a script, with what each of them stands for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

# The modules whose classes are read. A class that nothing imports is taken for one of these, too,
# as in a snippet.
ROOTS = ("sagemaker", "sagemaker_core", "boto3", "google", "vertexai")


@dataclass(kw_only=True)
class Scope:
    """Names of a module or of a function.

    Attributes:
        values: The values of names, and of attributes such as `self.role`.
        imports: What an import statement has bound, as `sagemaker.tensorflow.TensorFlow`.
        functions: The functions that the script defines.
        stars: The modules that it imports all names of.
        outer: The scope around this one.
    """

    values: dict[str, Any] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    outer: Scope | None = None

    def has(self, name: str) -> bool:
        """Return whether a name has a value."""
        return name in self.values or (self.outer is not None and self.outer.has(name))

    def get(self, name: str) -> Any:
        """Return the value of a name; None where it has none."""
        if name in self.values or self.outer is None:
            return self.values.get(name)
        return self.outer.get(name)

    def function(self, name: str) -> ast.FunctionDef | None:
        """Return the function of a name that the script defines, or None."""
        if name in self.functions or self.outer is None:
            return self.functions.get(name)
        return self.outer.function(name)

    def module_path(self, node: ast.expr) -> str | None:
        """Return what a name or attribute stands for, as an import statement has it.

        Returns:
            The dotted path; None where the name is bound otherwise, or is no name.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or self.has(node.id) or self.function(node.id):
            return None
        return ".".join([self._imported(node.id), *parts])

    def _imported(self, name: str) -> str:
        if name in self.imports:
            return self.imports[name]
        star = next((each for each in self.stars if each.partition(".")[0] in ROOTS), None)
        if star and name[:1].isupper():
            return f"{star}.{name}"
        return name if self.outer is None else self.outer._imported(name)

    def import_names(self, node: ast.Import | ast.ImportFrom) -> None:
        """Bind the names of an import statement."""
        for alias in node.names:
            if alias.name == "*":
                # Its classes are known by name, as in a snippet.
                self.stars.append(getattr(node, "module", None) or "")
                continue
            if isinstance(node, ast.ImportFrom):
                path = f"{'.' * node.level}{node.module or ''}.{alias.name}"
                bound = alias.asname or alias.name
            else:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                bound = alias.asname or path
            self.imports[bound] = path
            self.values.pop(bound, None)
