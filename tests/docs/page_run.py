"""Runs the blocks of a page in their order, as its reader would: in one folder and one shell."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from blocks import Block
from vertex_sdk import PRELUDE
from world import HERE, REGISTRY, Pythons, World, python_of, real_python, without_cloud

SECONDS = 600
# Ports that pages name; each page has free ones in their place.
PORTS = re.compile(r"(?<=[: =])(8080|8081|8501|5000)(?=[\s/'\"]|$)")
IMAGE = re.compile(r"(?<![$\w{])IMAGE(?![\w=])")
PUBLISHED = re.compile(r"-p (\d+):(\d+)")
SERVER = re.compile(r"^(trainer serve|docker run .*(trainer:cpu|IMAGE) serve)\b")
# What runs before an environment's first Python block. Google's SDK is led to our server. Those
# of Amazon look whether a job has ended every 5 to 30 seconds, and make an address of their own to
# ask who they are.
AMAZON = """
import importlib, os, time
_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 0.2))
for _name in ("sagemaker.session", "sagemaker.core.helper.session_helper"):
    try:
        _module = importlib.import_module(_name)
    except ImportError:
        continue
    _module.sts_regional_endpoint = lambda region: os.environ["AWS_ENDPOINT_URL"]
"""
PRELUDES = {".venv-vertex": PRELUDE, ".venv-sdk2": AMAZON, ".venv-sdk3": AMAZON}
BEGIN = """\
set -Ee
shopt -s expand_aliases
trap 'code=$?; echo "exit code $code: $BASH_COMMAND"; echo $LINENO >"$DOCS_LOGS/line"' ERR
answers() {
  until curl -sf "localhost:$2/${3:-ping}" >/dev/null; do
    kill -0 "$1" || return 1
    sleep 0.05
  done
}
# The Python blocks of an environment are run by one process, begun for the first of them.
python_block() {
  local socket="$DOCS_LOGS/session$1"
  if [ ! -S "$socket" ]; then
    env $4 "$DOCS_SESSION" serve "$socket" "$5" &
    until [ -S "$socket" ]; do
      kill -0 $! || return 1
      sleep 0.05
    done
  fi
  "$3" -IS "$DOCS_SESSION" ask "$socket" "$2"
}
"""


@dataclass(frozen=True, kw_only=True)
class PageRun:
    """A page's blocks after they have run.

    Attributes:
        home: The folder that they ran in.
        world: The services that they found.
        outputs: What each printed, on both streams.
        skipped: Environments that blocks need and that are not here.
        env: Their environment.
    """

    home: Path
    world: World
    outputs: dict[Block, str]
    skipped: frozenset[str]
    env: dict[str, str]

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one more command where the blocks ran."""
        return subprocess.run(
            ["bash", "-c", command], cwd=self.home, env=self.env, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip

    def output_of(self, part: str) -> str:
        """Return what the one block printed whose text has a part."""
        (block,) = [block for block in self.outputs if part in block.text]
        return self.outputs[block]


def run_page(
    found: Sequence[Block], *, home: Path, logs: Path, world: World, pythons: Pythons,
    files: Path, programs: Path, more: Mapping[str, str] | None = None,
) -> PageRun:  # fmt: skip
    """Run blocks of one page, or fail with the page's line, the command and what it printed.

    Args:
        found: The blocks.
        home: An empty home folder with the data.
        logs: A folder for scripts and what they print.
        world: The services.
        pythons: What runs Python.
        files: Made by `make_files`, for what stands in `before/`.
        programs: A folder of programs that stand in the place of the machine's.
        more: More of the environment.
    """
    free = Ports()
    script, skipped = [BEGIN], set[str]()
    for before in sorted((HERE / "before").glob(f"{Path(found[0].page).stem}.*")):
        (logs / f"before{before.suffix}").write_text(free.put(before.read_text()))
        command = (
            "source"
            if before.suffix == ".sh"
            else f"PYTHONPATH={HERE}/before:{HERE.parent}/integration python"
        )
        script.append(step("before", f"{command} {logs}/before{before.suffix}"))
    for number, block in enumerate(found):
        venv = block.venv if block.language == "python" else ".venv"
        if not python_of(venv).exists():
            skipped.add(venv)
            continue
        run = written(block, number, logs=logs, pythons=pythons, free=free, url=world.google.url)
        script.append(step(str(number), run))
    main = logs / "main.sh"
    main.write_text("\n".join(script))
    env = without_cloud() | world.env | pythons.env() | dict(more or {})
    env |= {"HOME": str(home), "DOCS_LOGS": str(logs), "DOCS_FILES": str(files),
            "DOCS_SESSION": str(HERE / "session.py")}  # fmt: skip
    env["PATH"] = f"{programs}:{pythons.bin()}:{env['PATH']}"
    code = ran_shell(main, home, env)
    if code:
        fail(found, logs, code)
    outputs = {
        block: (logs / f"{number}.out").read_text(errors="replace")
        for number, block in enumerate(found) if (logs / f"{number}.out").exists()
    }  # fmt: skip
    return PageRun(home=home, world=world, outputs=outputs, skipped=frozenset(skipped), env=env)


def step(name: str, command: str) -> str:
    """Return a line that runs a command and keeps what it prints."""
    return f'echo {name} >"$DOCS_LOGS/at"; {command} >"$DOCS_LOGS/{name}.out" 2>&1 </dev/null'


def written(
    block: Block, number: int, *, logs: Path, pythons: Pythons, free: Ports, url: str
) -> str:
    """Write a block as a file, and return the command that runs it."""
    if block.language == "sh":
        script = logs / f"{number}.sh"
        script.write_text("\n".join(map(free.line, block.text.split("\n"))))
        return f"source {script}"
    script = logs / f"{number}.py"
    script.write_text(free.put(block.text))
    if block.file:
        name = shlex.quote(block.file)
        return f"{{ mkdir -p $(dirname {name}) && cp {script} {name}; }}"
    env = " ".join(f"{k}={shlex.quote(v)}" for k, v in pythons.env(block.venv).items())
    python = f"{env} {pythons.bin(block.venv)}/python"
    before = PRELUDES.get(block.venv, "").format(url=url)
    return f'python_block {block.venv} {script} {real_python()} "{python}" {shlex.quote(before)}'


class Ports:
    """Free ports in the place of those that a page names."""

    def __init__(self) -> None:
        self._free: dict[str, int] = {}

    def of(self, named: str) -> int:
        """Return the port in the place of one."""
        if named not in self._free:
            with socket.create_server(("", 0)) as server:
                self._free[named] = server.getsockname()[1]
        return self._free[named]

    def put(self, text: str) -> str:
        """Return a text with them, and with an image that the registry has."""
        text = IMAGE.sub(REGISTRY, text).replace("ACCOUNT.dkr", "123456789012.dkr")
        published = PUBLISHED.sub(lambda found: f"-p {self.of(found[1])}:\0{found[2]}", text)
        return PORTS.sub(lambda found: str(self.of(found[1])), published).replace("\0", "")

    def line(self, line: str) -> str:
        """Return a line of a shell with them; servers run behind what follows."""
        if line.startswith("trainer deploy ") and "--to docker" in line and "--port" not in line:
            line = line.replace("--to docker", "--to docker --port 8080", 1)
        if not SERVER.match(line) or line.rstrip().endswith(("&", "\\")):
            return self.put(line)
        command = re.sub(r"\s#.*$", "", line)
        named = re.search(r"--port (\d+)|-p (\d+):", command)
        port = self.of((named[1] or named[2]) if named else "8080")
        return f"{self.put(command)} & answers $! {port}"


def ran_shell(script: Path, home: Path, env: dict[str, str]) -> int:
    """Run a script in a session of its own, of which nothing is left; return its exit code."""
    with subprocess.Popen(
        ["bash", script], cwd=home, env=env, start_new_session=True, stdin=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def fail(found: Sequence[Block], logs: Path, code: int) -> None:
    """Fail with the place, the command and what it printed."""
    at = (logs / "at").read_text().strip()
    output = (logs / f"{at}.out").read_text(errors="replace")[-6000:]
    line = int((logs / "line").read_text()) if (logs / "line").exists() else 0
    if at == "before":
        pytest.fail(f"tests/docs/before of {found[0].page}:\n{output}")
    block = found[int(at)]
    line = block.line + (line if block.language == "sh" else 0)
    more = " (its time is over)" if code == -1 else ""
    pytest.fail(f"{block.page}:{line}: this block fails{more}\n{block.text}\n{output}")
