"""`trainer report`: makes the page of a run again, compares several, or sends them to MLflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.config import Parser, UserError
from trainer.runtime import log, output
from trainer.storage import is_remote, local_path

HELP = "make the page of a run, or compare runs"
EXAMPLES = """\
# write report.html into the folder of a run
trainer report runs/mnist
# compare runs on one page, compare.html
trainer report runs/a runs/b gs://bucket/runs/c
# print a line for each run
trainer report runs/* --csv
# send a run to a tracking server, after it has ended
trainer report runs/mnist --to-mlflow http://127.0.0.1:5000
"""


def add_flags(parser: Parser) -> None:
    """Add the runs and the page."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder of a run's metrics.json; s3:// and gs:// too"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="the page (default: report.html in the run's folder, compare.html here for several)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the records, make no page")
    form.add_argument("--csv", action="store_true", help="print a line a run, make no page")
    form.add_argument(
        "--to-mlflow", metavar="URI", help="send what this server has not got yet, make no page"
    )
    parser.add_argument(
        "--experiment", metavar="NAME", help="experiment there (default: the server's)"
    )


def run(args: argparse.Namespace) -> None:
    """Make the page and print its path, or print the records."""
    # Standard output has the records or the page's path alone.
    log.begin(to="err")
    if args.to_mlflow:
        _send(args)
        return
    if args.experiment:
        raise UserError(
            subject=f"--experiment {args.experiment}",
            problem="it is one of an MLflow server, and none is named",
            remedy="add --to-mlflow URI",
        )
    from trainer import reporting

    names = _names(args.runs)
    runs = {names[folder]: reporting.read_record(folder) for folder in names}
    if args.json:
        records = [{"run": name, **reporting.encode_record(r)} for name, r in runs.items()]
        output.out_json(records)
        return
    if args.csv:
        output.out(reporting.as_csv(runs).rstrip("\n"))
        return
    if len(runs) == 1:
        ((name, record),) = runs.items()
        page = reporting.render_report(
            record, name=name, pictures=reporting.read_pictures(args.runs[0], record)
        )
        out = args.out or f"{args.runs[0].rstrip('/')}/report.html"
    else:
        page, out = reporting.render_comparison(runs), args.out or "compare.html"
    output.out(_write(out, page))


def _send(args: argparse.Namespace) -> None:
    """Send the runs, and print where each is."""
    from trainer.training import send_run

    for folder in args.runs:
        folder = folder if is_remote(folder) else local_path(folder, flag="RUN")
        sent = send_run(folder, uri=args.to_mlflow, experiment=args.experiment)
        there = "" if sent.is_new else " (was there)"
        path = f"#/experiments/{sent.experiment_id}/runs/{sent.run_id}"
        output.out(f"{args.to_mlflow.rstrip('/')}/{path}{there}")


def _names(folders: list[str]) -> dict[str, str]:
    """Return a short name for each folder; all of its path where two would have the same."""
    folders = list(dict.fromkeys(folder.rstrip("/") or "/" for folder in folders))
    short = {f: f.rpartition("/")[2] if is_remote(f) else Path(f).resolve().name for f in folders}
    names = list(short.values())
    return {f: n if n and names.count(n) == 1 else f for f, n in short.items()}


def _write(out: str, page: str) -> str:
    from trainer.storage import RemotePath, local

    if is_remote(out):
        folder, _, name = out.rpartition("/")
        RemotePath(folder, flag="--out").write_small(name, page.encode())
        return out
    path = Path(local_path(out, flag="--out"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        local.write_text(path, page)
    except OSError as error:
        problem = f"it cannot be written: {error.strerror}"
        raise UserError(subject=f"--out {out}", problem=problem) from error
    return str(path)
