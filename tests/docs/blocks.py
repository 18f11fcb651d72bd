"""The fenced blocks of README.md, CONTRIBUTING.md and docs/, and the command lines in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Run as one by tests/container/test_migrate.py, with containers between their blocks.
MIGRATION = ("migrate.md", "migrate-vertex.md")
# On the line before its fence, a block may say why no test can run it.
MARK = re.compile(r"^<!-- not run:(.*?)-->$", re.MULTILINE)
# Pages that are made when the site is: test_site.py looks at them.
MADE = {"flags.md", "job.md", "metrics.md", "http.md", "exit-codes.md"}
_FENCE = re.compile(
    r"(?:^<!-- not run:(?P<reason>.*?)-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# A comment after a command, which shells pass over as well.
_COMMENT = re.compile(r"(^|\s)#.*$")
# A first line that names the file that the block is.
_NAMED = re.compile(r"# ([\w./-]+\.(?:py|toml|ya?ml|json|txt|sh))")
_ENGINE = re.compile(r"--(to|on) (docker|compose)\b|--local\b")
_SDKS = {
    ".venv-sdk3": re.compile(r"^(from|import) sagemaker\.(train|core|serve|modules)\b", re.M),
    ".venv-sdk2": re.compile(r"^(from|import) sagemaker\b", re.M),
    ".venv-vertex": re.compile(r"^(from google\.cloud import|import google\.cloud\.)", re.M),
}


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: The file's name.
        line: Where its fence is.
        language: As the fence names it; empty where it names none.
        text: What is in it.
        reason: Why it is not run, as the page says it; None of a block that is.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Its command lines, those that go on over several lines in one piece, without comments."""
        whole = self.text.replace("\\\n", " ")
        lines = (_COMMENT.sub("", line).strip() for line in whole.splitlines())
        return [line for line in lines if line]

    @property
    def file(self) -> str | None:
        """The file that it is to become, where its first line names one."""
        named = _NAMED.fullmatch(self.text.partition("\n")[0])
        return named[1] if named and self.language != "sh" else None

    @property
    def needs_engine(self) -> bool:
        """Whether it runs containers."""
        return self.language == "sh" and any(
            re.search(r"(^|[&|;] *)docker ", command)
            or (_ENGINE.search(command) and not re.search(r" --(print|dry-run)\b", command))
            for command in self.commands
        )

    @property
    def venv(self) -> str:
        """The environment that has the SDK that it imports."""
        return next((name for name, sdk in _SDKS.items() if sdk.search(self.text)), ".venv")


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    text = page.read_text()
    return [
        Block(
            page.name,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"],
            match["text"],
            None if match["reason"] is None else match["reason"].strip(),
        )
        for match in _FENCE.finditer(text)
    ]


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in one of some languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]
