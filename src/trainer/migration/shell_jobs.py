"""Jobs, requests and copies of data that the lines of a shell in a script start."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.migration.aws_cli import AwsCli
from trainer.migration.evaluate import Evaluator
from trainer.migration.gcloud import Gcloud
from trainer.migration.hidden import Hidden, with_values
from trainer.migration.shell import CommandLine, ShellText, options_of
from trainer.migration.source import SHELL, Script
from trainer.migration.values import Given, Made, Text, Unknown, Use

_CALLS = (
    SHELL, "os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "subprocess.Popen", "subprocess.getoutput",
)  # fmt: skip
_COPIES = (
    ("aws", "s3", "cp"), ("aws", "s3", "sync"), ("gsutil", "cp"), ("gsutil", "rsync"),
    ("gcloud", "storage", "cp"), ("gcloud", "storage", "rsync"),
)  # fmt: skip
# Code, which --module or an image brings.
_NO_DATA = (".tar.gz", ".whl", ".py", ".sh", ".ipynb", ".pkl", ".joblib")
_STORES = ("s3://", "gs://")
# Programs and their verbs that a line names; `unserved` has what a user does instead.
NAMED = (
    "gcloud ai endpoints", "gcloud ai models", "gcloud ai custom-jobs local-run",
    "gcloud ai-platform local train", "gcloud ai-platform versions", "gcloud ai-platform predict",
    "gcloud ai-platform models", "aws sagemaker create-endpoint", "aws sagemaker create-model",
    "aws sagemaker create-transform-job", "aws sagemaker-runtime invoke-endpoint",
)  # fmt: skip
_LARGEST_FILE = 100_000


def is_shell(node: ast.Call, path: str | None) -> bool:
    """Return whether a call runs lines of a shell."""
    if path in _CALLS:
        return True
    base = node.func.value if isinstance(node.func, ast.Attribute) else None
    name = base.func.id if isinstance(base, ast.Call) and isinstance(base.func, ast.Name) else ""
    return name == "get_ipython" and node.func.attr in ("system", "getoutput")  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class ShellLines:
    """Reads the lines of a shell that a script runs.

    Attributes:
        script: The script.
        settings: Variables that it sets in `os.environ`.
        files: Files that the lines write.
    """

    script: Script
    settings: Mapping[str, Given]
    files: dict[str, str] = field(default_factory=dict)

    def objects(self, node: ast.Call, look: Evaluator) -> Iterator[Made | Use]:
        """Yield what a call starts, in the order of its lines."""
        hidden = Hidden()
        for command in self._commands(node, look, hidden):
            try:
                yield from self._started(command, hidden, node.lineno)
            except (TypeError, ValueError, AttributeError):
                # A file or a value of another form than the program takes.
                line = node.lineno + command.line
                yield Made(kind="command", line=line, label=" ".join(command.words[:4]))

    def _commands(self, node: ast.Call, look: Evaluator, hidden: Hidden) -> Iterator[CommandLine]:
        value = look.value(node.args[0]) if node.args else None
        if isinstance(value, list):
            words = tuple(hidden.text(each) for each in value)
            yield CommandLine(words=words, line=0)
        elif isinstance(value, (str, Text)):
            text = hidden.text(value)
            if len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                text = with_values(text, hidden, lambda source: _value(source, look))
            yield from ShellText(
                text=text, hidden=hidden, files=self.files, variable=self._variable,
                first=node.lineno,
            ).commands()  # fmt: skip

    def _variable(self, name: str, line: int) -> Any:
        if name in self.settings:
            return self.settings[name].value
        return Unknown(name, f"${name}", line)

    def _started(self, command: CommandLine, hidden: Hidden, line: int) -> Iterator[Made | Use]:
        jobs = Gcloud(hidden=hidden, read=self._read, line=line).jobs(command)
        request = AwsCli(hidden=hidden, read=self._read, line=line).request(command)
        if jobs:
            method = "run" if "--stream-logs" in command.words else "submit"
            yield from jobs
            yield Use(made=jobs[-1], method=method, given={}, line=line + command.line)
        elif request:
            yield request
        elif copy := _copy(command, hidden, line):
            yield copy
        else:
            text = " ".join(word for word in command.words if word not in ("beta", "alpha"))
            named = next((each for each in NAMED if text.startswith(each)), None)
            if named:
                yield Made(kind=named, line=line + command.line)

    def _read(self, name: str) -> str | None:
        """Return the text of a file that the script or a line of it writes, or that is there."""
        for files in (self.files, self.script.files):
            if name in files:
                return files[name]
        path = self.script.path.parent / name
        try:
            if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
                return path.read_text("utf-8")[:_LARGEST_FILE]
        except (OSError, ValueError):
            pass
        return None


def _value(source: str, look: Evaluator) -> Any:
    """Return the value of an expression of the notebook's own names; None of any other."""
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return look.value(tree) if names and all(look.scope.has(name) for name in names) else None


def _copy(command: CommandLine, hidden: Hidden, line: int) -> Use | None:
    """Return the copy of data to or from a store, or None."""
    words = tuple(word for word in command.words if word != "-m")
    verb = next((each for each in _COPIES if words[: len(each)] == each), None)
    if verb is None:
        return None
    rest = tuple(word for word in words[len(verb) :] if word not in ("-r", "-R", "-d", "-n"))
    _, others, _ = options_of(rest, {"recursive": None, "quiet": None, "delete": None})
    if others and others[0].endswith(_NO_DATA):
        return None
    if len(others) != 2 or not any(each.startswith(_STORES) for each in others):
        return None
    given = {
        name: Given(value=hidden.value(each), source="", line=line)
        for name, each in zip(("source", "target"), others, strict=True)
    }
    made = Made(kind="shell", line=line, label=" ".join(verb))
    return Use(made=made, method="copy_data", given=given, line=line + command.line)
