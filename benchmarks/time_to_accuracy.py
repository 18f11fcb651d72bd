"""Processor seconds of training until 99.0 % of MNIST's test set are right."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.common import ROOT, Table, last_json, one_core, python


def measure(*, data: Path, seeds: int, rival_seeds: int) -> Table:
    """Train our models and the two examples that most people start from.

    Ours count everything between the first step and the last: compiling too, which the rivals'
    figures leave out.
    """
    rows = []
    ours = {}
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "tfrecords"
        one_core(python("-m", "trainer", "data", "create", *_args(source=data, out=records)))
        for model, precision in (("fast", None), ("fast", "float32"), ("cnn", None)):
            runs = [
                _train(model, precision=precision, data=records, seed=seed, out=Path(folder))
                for seed in range(seeds)
            ]
            name = f"`--model {model}`" + (f" `--precision {precision}`" if precision else "")
            ours[name] = statistics.median(run["train_cpu_seconds"] for run in runs)
            rows.append(_row(name, runs))
    best = next(iter(ours.values()))
    torch = ROOT / ".venv-bench/bin/python"
    rivals = [("keras.io simple_mnist_convnet", python("-m", "benchmarks.rivals.keras_io"))]
    if torch.exists():
        rivals.append(
            ("PyTorch examples/mnist", [str(torch), "-m", "benchmarks.rivals.pytorch_example"])
        )
    for name, command in rivals:
        runs = [last_json([*command, *_args(data=data, seed=i)]) for i in range(rival_seeds)]
        seconds = statistics.median(run["train_cpu_seconds"] for run in runs)
        rows.append(_row(f"{name} ({seconds / best:.0f} × `--model fast`)", runs))
    head = ("trained", "CPU-seconds, median", "slowest seed", "accuracy, least and mean", "epochs",
            "seeds ≥ 99.0 %")  # fmt: skip
    return Table("Time to 99.0 % on the real MNIST, one core", head, rows)


def _train(model: str, *, precision: str | None, data: Path, seed: int, out: Path) -> dict:
    given = ["--precision", precision] if precision else []
    argv = python("-m", "trainer", "train", "--model", model, *given, "--threads", "1")
    one_core([*argv, *_args(train=data, seed=seed, model_dir=out / "model")])
    return json.loads((out / "metrics.json").read_text())


def _row(name: str, runs: list[dict]) -> tuple[str, ...]:
    seconds = [run["train_cpu_seconds"] for run in runs]
    right = [run["test_accuracy"] for run in runs]
    return (
        name,
        f"{statistics.median(seconds):.2f}",
        f"{max(seconds):.2f}",
        f"{min(right):.2%}, {statistics.mean(right):.2%}",
        f"{statistics.median(run['epochs'] for run in runs):.3g}",
        f"{sum(a >= 0.99 for a in right)} of {len(right)}",
    )


def _args(**flags: object) -> list[str]:
    return [x for k, v in flags.items() for x in (f"--{k.replace('_', '-')}", str(v))]
