"""docs/extending.md adds one of each kind: its files, lines and commands work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text()
SECTIONS = {
    part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
DEADLINE = 300

pytestmark = pytest.mark.tensorflow


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with the page's files in it and its lines in the tables."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        ROOT / "src/trainer", root / "src/trainer", ignore=shutil.ignore_patterns("__pycache__")
    )
    for block in fences(PAGE, "python"):
        place = root / named(block)
        assert not place.exists(), f"{place} is no new file"
        place.write_text(block)
    for block in fences(PAGE, "diff"):
        patched(root / named(block), block.partition("\n")[2])
    return root


def named(block: str) -> str:
    """Return the path in the first line of a block."""
    first = block.partition("\n")[0]
    assert first.startswith("# src/trainer/"), first
    return first.removeprefix("# ")


def patched(path: Path, change: str) -> None:
    """Make the one line of a change in a file, between the lines that stand around it."""
    lines = change.splitlines()
    assert sum(line.startswith("+") for line in lines) == 1
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    text = path.read_text()
    assert text.count(before) == 1, f"{path.name} has not just once:\n{before}"
    path.write_text(text.replace(before, after))


def steps(section: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a section, each with the lines that the page says it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in fences(section, "console"):
        open_quote = False
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
                open_quote = not balanced(found[-1][0])
            elif open_quote:
                found[-1] = (f"{found[-1][0]}\n{line}", [])
                open_quote = not balanced(found[-1][0])
            else:
                found[-1][1].append(line)
    return found


def balanced(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def test_the_page_adds_one_of_each_kind():
    kinds = {
        "data/formats",
        "serving/formats",
        "models",
        "cli",
        "platforms",
        "backends",
        "distribution",
    }
    files = [named(block) for block in fences(PAGE, "python")]
    assert kinds <= {str(Path(file).parent).removeprefix("src/trainer/") for file in files}
    assert len(files) == len(fences(PAGE, "diff"))


def test_the_commands_print_what_the_page_says(tree: Path, tmp_path: Path):
    """In one shell, in their order, as a reader would type them."""
    marked = []
    commands = [step for section in SECTIONS.values() for step in steps(section)]
    assert len(commands) > 8
    for number, (command, _) in enumerate(commands):
        marked += [command, f"echo; echo '--- {number}' $?"]
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "trainer").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m trainer "$@"\n'
    )
    (bin_folder / "python").symlink_to(sys.executable)
    for program in bin_folder.glob("trainer"):
        program.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(tree / "src"),
        "PYTHONSAFEPATH": "1",
    }
    work = tmp_path / "work"
    work.mkdir()
    ran = subprocess.run(
        ["bash", "-m", "-c", "\n".join(marked)], cwd=work, env=env, capture_output=True,
        text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    printed = re.split(r"^--- \d+ (\d+)$", ran.stdout, flags=re.MULTILINE)
    outputs, codes = printed[:-1:2], printed[1::2]
    assert len(outputs) == len(commands), ran.stdout + ran.stderr
    for (command, expected), output, code in zip(commands, outputs, codes, strict=True):
        assert code == "0", f"{command}\n{output}{ran.stderr}"
        missing = [line for line in expected if not printed_in(line, output)]
        assert missing == [], f"{command}\n{output}{ran.stderr}"


def printed_in(line: str, output: str) -> bool:
    """Return whether a line was printed; an ellipsis stands for anything."""
    pattern = ".*".join(map(re.escape, line.split("…")))
    return any(re.fullmatch(pattern, each) for each in output.splitlines())
