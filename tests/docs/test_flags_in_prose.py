"""Every flag that a page names in its prose is one of the program, or of a program named here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest
from blocks import PAGES, ROOT

from trainer.cli import command_line
from trainer.cli.verbs import VERBS

# What belongs to other programs, by its owner.
OTHERS = {
    "docker run": {"--gpus", "--network", "--read-only", "--rm", "--shm-size", "--tmpfs"},
    "horovodrun": {"--gloo"},
    "py-spy, patchelf": {"--pid", "--rename-dynamic-symbols"},
    "HPARAMS of docs/your-model.md's module": {"--units"},
    "gcloud ai-platform": {
        "--config", "--labels", "--master-accelerator", "--master-image-uri",
        "--master-machine-type", "--module-name", "--package-path", "--packages",
        "--parameter-server-count", "--parameter-server-machine-type", "--python-version",
        "--runtime-version", "--scale-tier", "--server-machine-type", "--stream-logs",
        "--use-chief-in-tf-config", "--worker-count", "--worker-image-uri",
        "--worker-machine-type",
    },
    "task.py of Google's samples": {
        "--eval-file", "--eval-files", "--eval-steps", "--num-epochs", "--train-file",
        "--train-files", "--train-steps",
    },
}  # fmt: skip
_CODE = re.compile(r"`([^`\n]+)`")
_FLAG = re.compile(r"(?<![\w-])--[a-zA-Z][\w-]*")
# Code that begins with one of these is a command of another program, with its own flags.
_PROGRAMS = re.compile(
    r"(docker|docker compose|gcloud|gsutil|aws|make|pip|pipx|uvx?|kubectl|mpirun|horovodrun|python|"
    r"pytest|git|curl|mkdocs|tensorboard|mlflow|apt-get|nvidia-smi|conda|ssh|bash|helm|openssl|TEST_DEVICE)\b"
)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def known() -> set[str]:
    """Return the flags of all commands, of all places."""
    found: set[str] = set()
    places = ("sagemaker", "vertex", "kubernetes", "compose", "docker")
    for words in VERBS:
        for place in ((), *(("--to", name) for name in places), *(("--on", n) for n in places)):
            argv = [*words.split(), *place]
            for parser in parsers(command_line.make_parser(argv=argv)):
                found |= {*parser._option_string_actions}
    return found


def of_examples() -> set[str]:
    """Return the flags of the programs in examples/."""
    files = [*(ROOT / "examples").rglob("*.py")]
    return {flag for file in files for flag in re.findall(r'"(--[\w-]+)"', file.read_text())}


# Platforms write flags of the program with underscores, too.
KNOWN = known() | of_examples() | {flag for flags in OTHERS.values() for flag in flags}


def named(page) -> Iterator[tuple[int, str]]:
    """Yield line and flag of what a page's prose names."""
    text = re.sub(
        r"^```.*?^```$", lambda found: "\n" * found[0].count("\n"), page.read_text(),
        flags=re.MULTILINE | re.DOTALL,
    )  # fmt: skip
    for number, line in enumerate(text.split("\n"), start=1):
        for code in _CODE.findall(line):
            if not _PROGRAMS.match(code):
                yield from ((number, flag) for flag in _FLAG.findall(code))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_flag_that_prose_names_is_one_of_the_program(page):
    wrong = [
        f"{page.name}:{line}: {flag}"
        for line, flag in named(page)
        if flag.replace("_", "-") not in KNOWN
    ]
    assert wrong == []


def test_each_flag_of_another_program_is_named_somewhere():
    text = "".join(page.read_text() for page in PAGES)
    unused = {flag for flags in OTHERS.values() for flag in flags if flag not in text}
    assert unused == set()


def test_the_flags_of_all_commands_are_known():
    assert {"--train", "--instance-type", "--accelerator-type", "--to", "--port", "--trials",
            "--serverless", "--contact-sheet"} <= KNOWN  # fmt: skip
    assert "--no-such-flag" not in KNOWN
