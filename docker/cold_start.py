"""Measure how long a container takes to its first training step, and what of that is TensorFlow's.

    python3 docker/cold_start.py DOCKER IMAGE DATA [REPEATS]

DATA is a folder of MNIST. One line for each of: an empty program, `import tensorflow`, and training
until the line of the first step is there; in turns, so that they see the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

TRAIN = ("--train", "/data", "--steps", "1", "--log-every", "1", "--steps-per-call", "1")
CASES: dict[str, tuple[tuple[str, ...], str]] = {
    "empty program": (("python3", "-c", "print('ready', flush=True)"), "ready"),
    "import tensorflow": (
        ("python3", "-c", "import tensorflow; print('ready', flush=True)"),
        "ready",
    ),
    "first step, --model fast": (("--model", "fast", *TRAIN), "step=1 "),
    "first step, --model cnn": (("--model", "cnn", *TRAIN), "step=1 "),
}
SECONDS = 300


def main(docker: str, image: str, data: str, repeats: int = 7) -> None:
    """Print the medians, the one before the first being thrown away."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for turn in range(repeats + 1):
        for name, (argv, line) in CASES.items():
            seconds = until(docker, image, data, argv, line)
            if turn:
                times[name].append(seconds)
    base = statistics.median(times["import tensorflow"])
    print(f"| from `docker run` to | median of {repeats}, s | beyond `import tensorflow`, s |")
    print("| --- | ---: | ---: |")
    for name, found in times.items():
        beyond = f"{statistics.median(found) - base:.2f}" if name.startswith("first") else ""
        print(f"| {name} | {statistics.median(found):.2f} | {beyond} |")


def until(docker: str, image: str, data: str, argv: tuple[str, ...], line: str) -> float:
    """Seconds from the start of a container to a line that begins so."""
    command = [
        docker,
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        f"{Path(data).absolute()}:/data:ro",
    ]
    began = time.monotonic()
    with subprocess.Popen(
        [*command, image, *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        # SIGTERM, which the client passes on to the container.
        late = threading.Timer(SECONDS, process.terminate)
        late.start()
        seconds = None
        for printed in process.stdout:
            if seconds is None and printed.startswith(line):
                seconds = time.monotonic() - began
        late.cancel()
    if seconds is None:
        sys.exit(f"docker/cold_start: {image} {' '.join(argv)}: printed no line {line!r}")
    return seconds


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("docker/cold_start: expected DOCKER IMAGE DATA [REPEATS]")
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
