"""Lines of a shell as words, with what only a run would show kept as one character each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.migration.hidden import Hidden
from trainer.migration.values import Unknown

_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)(?::?[-=]([^}]*))?\}")
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_REDIRECTION = re.compile(r"\d?(?:>>?|<)&?\s*")
# Words before a command that are none of it.
_BEFORE = ("if", "then", "else", "elif", "do", "while", "until", "!", "time", "sudo", "export",
           "nohup", "{", "exec", "eval", "local", "readonly")  # fmt: skip
_LONGEST = 100_000


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """A command.

    Attributes:
        words: Its words, in which characters stand for values that are not known.
        line: Its line, counted from 0.
    """

    words: tuple[str, ...]
    line: int


@dataclass(kw_only=True)
class ShellText:
    """A text of a shell while it is read.

    Attributes:
        text: The text.
        hidden: The values that characters of it stand for.
        variable: Returns the value of a variable that the text does not set, for a line.
        first: The line of the script that lines are counted from.
        files: The files that it writes by `cat > FILE <<END`, by their names.
    """

    text: str
    hidden: Hidden
    variable: Callable[[str, int], Any]
    first: int
    files: dict[str, str] = field(default_factory=dict)
    set: dict[str, str] = field(default_factory=dict)
    at: int = 0
    line: int = 0

    def commands(self) -> Iterator[CommandLine]:
        """Yield the commands in their order."""
        self.text = self.text[:_LONGEST]
        while self.at < len(self.text):
            line = self.line
            words = [*self._words()]
            while words and (words[0] in _BEFORE or self._assigns(words[0])):
                words.pop(0)
            if words:
                yield CommandLine(words=tuple(words), line=line)

    def _assigns(self, word: str) -> bool:
        match = _ASSIGNED.fullmatch(word)
        if match:
            value = self.hidden.value(match[2])
            if isinstance(value, Unknown) and not value.source.startswith("$"):
                # A variable has the name that the text gives it.
                value = Unknown(match[1], value.source, value.line, value.default)
            self.set[match[1]] = self.hidden.text(value)
        return bool(match)

    def _words(self) -> Iterator[str]:
        """Yield the words of one command, and go on behind it."""
        word: list[str] = []
        begun = False
        target = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            here = _HEREDOC.match(self.text, self.at)
            redirection = _REDIRECTION.match(self.text, self.at)
            redirection = redirection if not begun or char in "<>" else None
            if self.text.startswith("\\\n", self.at):
                self._go(2)
            elif here:
                self._go(here.end() - self.at)
                self._heredoc(here[1], target)
            elif redirection:
                self._go(redirection.end() - self.at)
                target = "".join(self._part() for _ in iter(self._in_word, False))
            elif char in "\n;&|()":
                self._go(1)
                break
            elif char in " \t":
                self._go(1)
                if begun:
                    yield from _split(word)
                    word, begun = [], False
            elif char == "#" and not begun:
                end = self.text.find("\n", self.at)
                self._go((len(self.text) if end < 0 else end) - self.at)
            else:
                word.append(self._part())
                begun = True
        if begun:
            yield from _split(word)

    def _in_word(self) -> bool:
        return self.at < len(self.text) and self.text[self.at] not in " \t\n;&|()<>"

    def _go(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def _heredoc(self, end: str, target: str) -> None:
        """Go on behind a text that a command reads, and keep it where it writes it to a file."""
        first, newline, rest = self.text[self.at :].partition("\n")
        redirected = re.search(r">\s*(\S+)", first)
        body: list[str] = []
        lines = rest.split("\n")
        for number, line in enumerate(lines):
            if line.strip() == end:
                break
            body.append(line)
            if number > 5000:
                break
        name = redirected[1] if redirected else target
        if name:
            self.files[name] = "\n".join(body)
        self._go(len(first) + len(newline) + sum(len(line) + 1 for line in body) + len(end))

    def _part(self) -> str:
        """Return the next part of a word, variables in their place; NUL marks a split."""
        char = self.text[self.at]
        if char == "\\":
            found = self.text[self.at + 1 : self.at + 2]
            self._go(2)
            return found
        if char == "'":
            end = self.text.find("'", self.at + 1)
            end = len(self.text) if end < 0 else end
            found = self.text[self.at + 1 : end]
            self._go(end + 1 - self.at)
            return found
        if char == '"':
            return self._quoted()
        if char in "$`":
            return self._variable().replace(" ", "\0").replace("\n", "\0")
        self._go(1)
        return char

    def _quoted(self) -> str:
        found: list[str] = []
        self._go(1)
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ('"', "\\", "$", "`", "\n"):
                found.append(self.text[self.at + 1].replace("\n", ""))
                self._go(2)
            elif char in "$`":
                found.append(self._variable())
            else:
                found.append(char)
                self._go(1)
        self._go(1)
        return "".join(found)

    def _variable(self) -> str:
        """Return the value of a variable or of a command in its place."""
        behind = self.at + 1
        if self.text[self.at] == "`" or self.text.startswith("(", behind):
            return self._output(self.text[behind:])
        braced, plain = _BRACED.match(self.text, behind), _NAME.match(self.text, behind)
        if braced is None and plain is None:
            self._go(1)
            return "$"
        match = braced or plain
        assert match is not None
        self._go(match.end() - self.at)
        name = match[1] if braced else match[0]
        if name in self.set:
            return self.set[name]
        value = self.variable(name, self.first + self.line)
        if braced and braced[2] and isinstance(value, Unknown):
            value = Unknown(value.name, value.source, value.line, braced[2])
        return self.hidden.text(value)

    def _output(self, rest: str) -> str:
        """Return what stands for the output of a command."""
        if rest.startswith("("):
            end, depth = 1, 1
            while end < len(rest) and depth:
                depth += (rest[end] == "(") - (rest[end] == ")")
                end += 1
            inside = rest[1 : end - 1]
        else:
            end = rest.find("`") + 1 or len(rest)
            inside = rest[: end - 1]
        self._go(1 + end)
        if inside.strip() == "pwd":
            return "."
        name = "project" if "project" in inside else "value"
        return self.hidden.text(Unknown(name, f"$({inside.strip()[:80]})", self.first + self.line))


def _split(word: list[str]) -> Iterator[str]:
    """Yield a word, or several where a variable without quotes has spaces in its value."""
    text = "".join(word)
    yield from (part for part in text.split("\0") if part) if "\0" in text else (text,)


def options_of(words: tuple[str, ...], switches: Mapping[str, Any]) -> tuple[
    dict[str, list[str]], list[str], list[str]
]:  # fmt: skip
    """Return options with their values, other words, and those behind `--`.

    Args:
        words: The words behind the command's own.
        switches: Options that take no value.
    """
    options: dict[str, list[str]] = {}
    others: list[str] = []
    rest = [*words]
    while rest:
        word = rest.pop(0)
        if word == "--":
            return options, others, rest
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            others.append(word)
            continue
        values = options.setdefault(name[2:], [])
        if equals:
            values.append(value)
        elif name[2:] not in switches:
            while rest and not rest[0].startswith("--"):
                values.append(rest.pop(0))
    return options, others, []
