"""Findings of an examination, and the report of them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trainer.config import UserError
from trainer.runtime import mask_text, mask_value

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was examined.

    Attributes:
        about: The flag, variable or part of the machine.
        text: Its state, or what is wrong with it.
        level: `ok`, `note` for a possible mistake, or `problem`.
        remedy: How to mend it, as an imperative.
        facts: The values in the text by name, for programs.
        separator: The characters before the remedy in a line.
    """

    about: str
    text: str
    level: Level = "ok"
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    separator: str = ": "

    def line(self) -> str:
        """Return subject, text and remedy on one line."""
        remedy = f"{self.separator}{self.remedy}" if self.remedy else ""
        return " ".join(f"{self.about}: {self.text}{remedy}".split())


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, in the order in which they were made; secrets are masked."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if there is no problem."""
        return not any(f.level == "problem" for f in self.findings)

    def lines(self) -> list[str]:
        """Return a line for each finding."""
        return [f"{f.level:<8} {f.line()}" for f in self.findings]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as `--json` prints it."""
        findings = [
            {
                "level": f.level,
                "about": f.about,
                "text": f.text,
                "remedy": f.remedy or None,
                "facts": dict(f.facts),
            }
            for f in self.findings
        ]
        return {"ok": self.ok, "findings": findings}


def problem(about: str, text: str, remedy: str, **facts: Any) -> Finding:
    """Return a finding of something that must be mended before a run."""
    return Finding(about=about, text=text, level="problem", remedy=remedy, facts=facts)


def of_error(error: UserError, *, remedy: str) -> Finding:
    """Return the problem that a UserError describes.

    Args:
        error: The error; its fields become those of the finding.
        remedy: For errors that name none of their own.
    """
    found = problem(error.subject, error.problem, error.remedy or remedy)
    return replace(found, separator="; ") if error.remedy else found


def without_secrets(finding: Finding, *, hide: Iterable[str]) -> Finding:
    """Return the finding with secrets masked.

    Args:
        finding: The finding as it was made.
        hide: The secrets.
    """
    return replace(
        finding,
        about=mask_text(finding.about, hide=hide),
        text=mask_text(finding.text, hide=hide),
        remedy=mask_text(finding.remedy, hide=hide),
        facts=mask_value(dict(finding.facts), hide=hide),
    )


def findings_within(
    about: str, examine: Callable[[], Iterable[Finding]], *, seconds: float
) -> list[Finding]:
    """Return the findings of one part; if it fails or hangs, the last finding says so.

    A thread that reads from a network folder whose server is gone waits for ever and cannot be
    interrupted; it is left behind, and ends with the process.

    Args:
        about: The part, for the finding if it fails.
        examine: Returns or yields the findings.
        seconds: How long it may take.
    """
    found: list[Finding] = []
    failure: list[Finding] = []

    def run() -> None:
        try:
            for finding in examine():
                found.append(finding)
        except UserError as error:
            failure.append(of_error(error, remedy="mend it, or leave it out"))
        except Exception as error:
            text = f"cannot be examined: {type(error).__name__}: {error}"
            failure.append(problem(about, text, "see whether the container may read it"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        text = f"no answer within {seconds:g} seconds"
        return [*found, problem(about, text, "see whether its disk, mount or driver still works")]
    return found + failure
