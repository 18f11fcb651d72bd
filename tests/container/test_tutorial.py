"""The tutorial, followed word by word on a machine that has what it asks for and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from containers import ROOT, Container, Engine, missing
from terminal import Terminal

PAGE = ROOT / "docs/tutorial.md"
MACHINE = "trainer-test-newcomer"
# The newcomer's home: what pip and uv have downloaded stays from one run of this test to the next.
HOME, VOLUME = "/home/newcomer", "trainer-test-newcomer"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BUILD_SECONDS, BLOCK_SECONDS, INSTALL_SECONDS = 600, 600, 1500
NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?")
# A block, and the comment before it that says why it is not run.
BLOCKS = re.compile(r"^(<!-- not run: .*? -->\n)?```(sh|text)\n(.*?)^```$", re.M | re.S)
LEFT = (
    "report.html", "metrics.json", "sheet.png", "compare.html", "sweep.html", "answers.jsonl",
    "saved_model.pb",
)  # fmt: skip


def blocks() -> list[tuple[str, str]]:
    """Return the page's blocks in order: the language, or `root`, and the text."""
    return [("root" if m[1] else m[2], m[3]) for m in BLOCKS.finditer(PAGE.read_text())]


def expected(line: str) -> re.Pattern[str]:
    """Return what a line of the page stands for: other numbers, and anything in place of `…`."""
    pieces = [
        r"[\d.,e+-]+".join(re.escape(part) for part in NUMBER.split(piece))
        for piece in line.strip().split("…")
    ]
    return re.compile(".*".join(pieces))


def shown(text: str, printed: str) -> list[str]:
    """Return the lines of a text block that were not printed in their order."""
    rest, absent = printed.splitlines(), []
    for line in filter(str.strip, text.splitlines()):
        found = [i for i, one in enumerate(rest) if expected(line).search(one)]
        if found:
            rest = rest[found[0] + 1 :]
        else:
            absent.append(line)
    return absent


def build(engine: Engine, folder: Path, packages: str) -> None:
    """Build the machine: the base image, and what the page installs as root."""
    subprocess.run([ROOT / "docker/machine", folder], check=True, timeout=60)
    secrets = [f"--secret=id={file.name},src={file}" for file in folder.iterdir()]
    base = subprocess.run(
        [ROOT / "docker/base-image", engine.client], capture_output=True, text=True, check=False
    )
    if base.returncode:
        missing(base.stderr.strip())
    built = subprocess.run(
        [engine.client, "build", "--network=host", "--tag", MACHINE, *secrets,
         "--build-arg", f"BASE_IMAGE={base.stdout.strip()}", "--build-arg", f"PACKAGES={packages}",
         "--file", ROOT / "tests/container/newcomer/Dockerfile", ROOT / "docker/system"],
        env={**os.environ, "DOCKER_BUILDKIT": "1"}, timeout=BUILD_SECONDS,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr


def checkout(folder: Path, mnist: Path) -> None:
    """Copy what a clone has, and the data that the machine's network cannot reach."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "data/mnist").mkdir(parents=True)
    for file in mnist.glob("*-ubyte.gz"):
        shutil.copyfile(file, folder / "data/mnist" / file.name)


def network() -> list[str]:
    """Return options that let pip and uv reach the index as they do on this machine."""
    names = [n for n in os.environ if n.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    options = ["--network", "host", *(word for name in names for word in ("-e", name))]
    if Path(CERTIFICATES).exists():
        options += ["-v", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            options += ["-e", f"{name}={CERTIFICATES}"]
    return options


@pytest.fixture
def newcomer(engine: Engine, mnist_dir: Path, tmp_path: Path) -> Iterator[Container]:
    """A container of the bare machine, with a checkout in the newcomer's home."""
    (packages,) = (text for kind, text in blocks() if kind == "root")
    (tmp_path / "machine").mkdir(mode=0o700)
    build(engine, tmp_path / "machine", packages.removeprefix("apt-get install").strip())
    checkout(tmp_path / "trainer", mnist_dir)
    options = [*network(), "-v", f"{VOLUME}:{HOME}", "-v", f"{tmp_path}/trainer:/checkout:ro"]
    # `docker exec` is refused until the container runs, which its first line shows.
    idle = ("sh", "-c", "echo up && exec sleep infinity")
    with Container(engine, MACHINE, idle, options) as container:
        container.until("up")
        fresh = "rm -rf ~/trainer ~/.cache/trainer && cp -r /checkout ~/trainer"
        engine("exec", container.name, "sh", "-c", fresh)
        yield container
        engine("exec", container.name, "rm", "-rf", f"{HOME}/trainer")


def followed(engine: Engine, name: str, sequence: Sequence[tuple[str, str]]) -> list[str]:
    """Type the page's commands; return the lines that it shows and nobody saw."""
    absent: list[str] = []
    with (
        Terminal(engine, name, f"{HOME}/trainer") as terminal,
        Terminal(engine, name, f"{HOME}/trainer") as second,
    ):
        printed, server = "", False
        for kind, text in sequence:
            began = time.monotonic()
            if kind == "text":
                absent += shown(text, printed)
            elif text.startswith("trainer serve"):
                terminal.type(text)
                printed = terminal.until(re.compile("serving model at"), timeout=BLOCK_SECONDS)
                server = True
            elif server:
                printed = second.run(text, timeout=BLOCK_SECONDS)
                # The page goes back to the first terminal, and so does the newcomer.
                terminal.interrupt()
                terminal.until(re.compile("then ending"), timeout=BLOCK_SECONDS)
                server = False
            else:
                seconds = INSTALL_SECONDS if "make" in text else BLOCK_SECONDS
                printed = terminal.run(text, timeout=seconds)
            if kind == "sh":
                # Which step takes how long, for who looks at `pytest -s`.
                print(f"{time.monotonic() - began:6.1f} s: {text.splitlines()[0]}", flush=True)
    return absent


def test_a_newcomer_follows_the_tutorial_word_by_word(engine: Engine, newcomer: Container):
    assert engine("exec", newcomer.name, "id", "-u").stdout.strip() != "0"
    sequence = [(kind, text) for kind, text in blocks() if kind != "root"]
    assert followed(engine, newcomer.name, sequence) == []
    runs = engine("exec", newcomer.name, "find", f"{HOME}/trainer/runs").stdout.split()
    assert [name for name in LEFT if not any(path.endswith(f"/{name}") for path in runs)] == []
