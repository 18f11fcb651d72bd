"""Run benchmarks and print a table each.

    MNIST_DIR=DIR python -m benchmarks                      all of them: about half an hour
    MNIST_DIR=DIR python -m benchmarks input write          some
    MNIST_DIR=DIR python -m benchmarks --save docs/performance.md     and put the tables there

PyTorch's example is measured where `.venv-bench` has PyTorch (`make bench` sees to it).
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    health,
    input,
    overhead,
    pictures,
    scaling,
    serving,
    startup,
    sync,
    tables as table_files,
    time_to_accuracy,
    write,
)
from benchmarks.common import Table

NAMES = (
    "time", "input", "tables", "jpegs", "pngs", "write", "overhead", "startup", "scaling",
    "serving", "health", "sync",
)  # fmt: skip
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), help="default: all")
    parser.add_argument("--seeds", type=int, default=8, help="of our models (default: 8)")
    parser.add_argument("--rival-seeds", type=int, default=1, help="of the others (default: 1)")
    parser.add_argument("--rounds", type=int, default=9, help="of paired runs (default: 9)")
    parser.add_argument("--save", type=Path, help="replace the measured part of this file")
    args = parser.parse_args()
    unknown = set(args.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {sorted(unknown)[0]}; there are {', '.join(NAMES)}")
    data = Path(os.environ.get("MNIST_DIR", ""))
    if not (data / "train-images-idx3-ubyte.gz").exists():
        parser.error(f"MNIST_DIR={data}: expected the folder of the four original MNIST files")
    data = data.absolute()
    # This process measures too.
    os.sched_setaffinity(0, {0})

    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as folder:
        from trainer.data import create_dataset

        records = Path(folder)
        (train,) = create_dataset(source=str(data), out=records)["train"]
        plain = {
            "input": functools.partial(input.measure, tfrecord=train),
            "tables": functools.partial(table_files.measure, folder=records / "tables"),
            "jpegs": functools.partial(pictures.measure, kind="jpeg", mnist=data),
            "pngs": functools.partial(pictures.measure, kind="png", mnist=data),
            "write": functools.partial(write.measure, data=data),
            "startup": functools.partial(startup.measure, data=records),
        }
        for name in args.names or NAMES:
            if name == "time":
                table = time_to_accuracy.measure(
                    data=data, seeds=args.seeds, rival_seeds=args.rival_seeds
                )
            elif name in plain:
                table = plain[name](rounds=args.rounds)
            elif name == "overhead":
                table = overhead.measure(data=records, rounds=2 * args.rounds + 1)
            elif name == "sync":
                table = sync.measure(rounds=max(2, args.rounds // 2))
            elif name == "health":
                table = health.measure(data=data)
            elif name == "serving":
                first, table = serving.measure(data=data, rounds=max(3, args.rounds // 3))
                tables.append(first)
                print(first.markdown(), flush=True)
            else:
                rounds = max(3, args.rounds // 3)
                tables.append(scaling.measure(data=records, rounds=rounds, batch_size=256))
                print(tables[-1].markdown(), flush=True)
                table = scaling.measure_hosts(data=records, rounds=rounds)
            tables.append(table)
            print(table.markdown(), flush=True)
            print()
    if args.save:
        _save(args.save, tables)
    return 0


def _save(path: Path, tables: list[Table]) -> None:
    """Put tables into the measured part of a file; those not measured now stay as they are."""
    before, _, rest = path.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    # Up to its title, a section belongs to nobody.
    sections = {part.partition("\n")[0]: f"### {part}" for part in old.split("### ")[1:]}
    note = (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, Python {platform.python_version()}, "
        f"`python -m benchmarks {' '.join(sys.argv[1:])}`"
    )
    sections |= {table.title: f"{table.markdown()}\n\n{note}" for table in tables}
    middle = "\n\n".join(section.strip() for section in sections.values())
    path.write_text(f"{before}{BEGIN}\n\n{middle}\n\n{END}{after}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
