"""Pages and files of the site that docs/ lacks: each command's help, and the notebooks."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from trainer.cli import command_line
from trainer.cli.verbs import VERBS

PAGE = "flags.md"
# Where a page's link leads in a checkout, and the folder of the site.
NOTEBOOKS, ON_SITE = "../examples/notebooks/", "notebooks/"
# Characters in a line of help.
WIDTH = "76"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page of all commands, which no file holds, and the notebooks."""
    files.append(File.generated(config, PAGE, content="\n".join(_lines())))
    for path in sorted(Path(config.docs_dir, NOTEBOOKS).resolve().glob("*.ipynb")):
        files.append(File.generated(config, ON_SITE + path.name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to notebooks lead to those of the site."""
    return markdown.replace(f"]({NOTEBOOKS}", f"]({ON_SITE}")


def _lines() -> Iterator[str]:
    yield "# Commands and flags\n"
    yield (
        "This page has what `trainer COMMAND --help` prints for every command. Flags may have "
        "underscores, too: `--batch_size` is `--batch-size`. `trainer submit` and the commands on "
        "jobs take further flags for the place that `--to` or `--on` names; each place has a "
        "section of its own. [Every option of a job](job.md) has the same flags as a table.\n"
    )
    os.environ["COLUMNS"] = WIDTH
    for words, verb in VERBS.items():
        # Its flags follow from the place that is named, so that each place has its own help.
        yield f"## trainer {words}\n\n{verb.HELP[0].upper()}{verb.HELP[1:]}.\n"
        yield f"```text\n{help_of(words.split())}```\n"
        if words == "deploy":
            yield from _flags_of_some_places()
        for place in _places(words):
            flag = "--on" if words.startswith("jobs") else "--to"
            yield f"### trainer {words} {flag} {place}\n"
            yield f"```text\n{help_of([*words.split(), flag, place])}```\n"


def _places(words: str) -> list[str]:
    """Return the places whose own flags a command takes."""
    from trainer.backends import BACKENDS

    # Where jobs are is asked alike by all commands on jobs.
    return [*BACKENDS] if words in ("submit", "jobs list") else []


def _flags_of_some_places() -> Iterator[str]:
    """Yield a table of the flags that not every place of `trainer deploy` has."""
    from trainer.config import flag_of, options_of
    from trainer.endpoints import TARGETS, DeployOptions, suits

    yield f"| flag | {' | '.join(TARGETS)} |"
    yield f"| --- |{' --- |' * len(TARGETS)}"
    for name in options_of(DeployOptions):
        has = [suits(name, place) for place in TARGETS]
        if not all(has):
            yield f"| `{flag_of(name)}` | {' | '.join('yes' if each else 'no' for each in has)} |"
    yield "\nPlaces have all other flags alike.\n"


def help_of(argv: list[str]) -> str:
    """Return what a command prints for `--help`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        command_line.make_parser(argv=argv).parse_args([*argv, "--help"])
    return printed.getvalue()
