"""Every command and every block of code of the documentation is one that there is."""

import ast
import itertools
import re
import shlex
import subprocess

import pytest
from blocks import PAGES, ROOT, Block, blocks

from trainer.cli import command_line
from trainer.cli.container import choose
from trainer.runtime.versions import DISTRIBUTION

SHELL = blocks("sh")
COMMANDS = [(str(block), command) for block in SHELL for command in block.commands]
# Options of `docker run` that take a value.
VALUES = {"-v", "-p", "-e", "-u", "--network", "--name", "--gpus", "--tmpfs", "--shm-size"}
IMAGE = re.compile(r"trainer:(cpu|gpu)|IMAGE")


def commands(program: str) -> list:
    return [
        pytest.param(command, id=f"{where} {command[:40]}")
        for where, command in COMMANDS
        if shlex.split(command)[0] == program
    ]


def test_every_block_names_its_language_or_is_no_code():
    pages = {page.name: page.read_text() for page in PAGES}
    for block in blocks("python", "sh", "json", "text", ""):
        pages[block.page] = pages[block.page].replace(block.text, "")
    # An indented block would be seen by none of these tests.
    for name, text in pages.items():
        assert not re.search(r"^    (trainer|docker|pip|make|python|curl) ", text, re.MULTILINE), (
            name
        )


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shells_can_read_every_block(block: Block):
    ran = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_can_read_every_block(block: Block):
    ast.parse(block.text)


def parsed(argv: list[str]) -> None:
    """Parse arguments of the program, or fail."""
    command_line.make_parser(argv=argv).parse_args(argv)


@pytest.mark.parametrize("command", commands("trainer"))
def test_the_program_has_every_verb_and_flag(command: str):
    # What the shell does with its streams is no argument.
    words = itertools.takewhile(lambda word: word not in ("<", ">", "|"), shlex.split(command))
    parsed([*words][1:])


@pytest.mark.parametrize("command", commands("make"))
def test_make_has_every_target(command: str):
    makefiles = (ROOT / "Makefile").read_text() + (ROOT / "docker/image.mk").read_text()
    for part in command.split("&&"):
        words = shlex.split(part)[1:]
        for target in (word for word in words if "=" not in word):
            assert re.search(rf"^{target}\b.*:", makefiles, re.MULTILINE), target
        for name in (word.partition("=")[0] for word in words if "=" in word):
            assert re.search(rf"^{name} \?=|\$[({{]{name}[)}}]", makefiles, re.MULTILINE), name


def docker_run(command: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options of a `docker run` line, and what the container is given."""
    words = shlex.split(command)[2:]
    options: dict[str, list[str]] = {}
    while not IMAGE.fullmatch(words[0]):
        name = words.pop(0)
        assert name.startswith("-"), f"{name} stands before the image"
        options.setdefault(name, []).append(words.pop(0) if name in VALUES else "")
    return options, words[1:]


RUNS = [p for p in commands("docker") if shlex.split(p.values[0])[1] == "run"]


@pytest.mark.parametrize("command", RUNS)
def test_docker_takes_every_line_and_the_image_what_it_is_given(command: str):
    options, given = docker_run(command)
    for name in options.get("--name", ()):
        # Docker's own rule.
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)
    chosen = choose(given, {})
    assert chosen.program != "command", given
    if chosen.argv:
        parsed(
            [
                *(["train"] if chosen.program == "train" and chosen.argv[0] != "train" else []),
                *chosen.argv,
            ]
        )


@pytest.mark.parametrize("command", RUNS)
def test_docker_reads_the_data_that_readmes_commands_have_written(command: str):
    _, given = docker_run(command)
    # The folder around it holds the original files too, and two kinds of data are refused.
    if "--train" in given:
        assert given[given.index("--train") + 1] == "/data/tfrecord"


@pytest.mark.parametrize("command", RUNS)
def test_no_line_of_docker_loses_the_model(command: str):
    options, given = docker_run(command)
    mounted = [volume.rpartition(":")[2] for volume in options.get("-v", ())]
    if "trainer" in given or "serve" in given or "worker" in "".join(options.get("-e", ())):
        return
    folder = given[given.index("--model-dir") + 1] if "--model-dir" in given else "/opt/ml/model"
    assert any(folder.startswith(where) for where in mounted), folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nobody_is_told_to_install_a_package_of_somebody_elses(page):
    for package in re.findall(r"pip install (?:-e )?'?([\w.-]+)", page.read_text()):
        assert package in (".", DISTRIBUTION, "sagemaker", "sagemaker-training"), package
