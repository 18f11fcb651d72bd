"""Google's SDK for Vertex AI in an environment of its own, led to a server of the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from containers import missing

PYTHON = Path(__file__).parents[2] / ".venv-vertex/bin/python"
# Before a program that knows nothing of tests.
PRELUDE = """
import google.auth.credentials as c
from google.cloud import aiplatform
plain = aiplatform.init
def init(**given):
    plain(api_endpoint={url!r}, api_transport="rest", credentials=c.AnonymousCredentials(), **given)
aiplatform.init = init
"""


def python() -> Path:
    """Return the interpreter that has the SDK; without it the test is skipped, but not in CI."""
    if not PYTHON.exists():
        missing("needs .venv-vertex: make setup-sdk")
    return PYTHON


def run_program(program: Path, argv: Sequence[str], url: str) -> subprocess.CompletedProcess[str]:
    """Run a program as `python PROGRAM ARGV`, with a server in the place of Google's."""
    start = (
        PRELUDE.format(url=url)
        + "import runpy, sys\nsys.argv = sys.argv[1:]\n"
        + "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run(
        [python(), "-c", start, program, *argv],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
