"""`report.html`: one run on one page, with a section for each thing that its record has."""

from __future__ import annotations

import shlex
from typing import Any

from trainer.reporting import figures
from trainer.reporting.charts import Chart, calibration_chart, curve_charts
from trainer.reporting.html import render_page
from trainer.reporting.pictures import NO_PICTURES, PicturesRecord
from trainer.reporting.record import ClassificationRecord, RankRecord, RunRecord
from trainer.runtime import display_value

# The source of a setting that nobody gave.
DEFAULT = "default"
# A section shows no more names of files than these.
MOST_FILES = 5


def render_report(
    record: RunRecord, *, name: str = "", pictures: PicturesRecord = NO_PICTURES
) -> str:
    """Return the page of a run.

    Args:
        record: The record.
        name: Of the run, for its title.
        pictures: Of the same run.
    """
    evaluation = record.evaluation
    charts: list[Chart] = curve_charts(record.curves) if record.curves else []
    if evaluation and evaluation.calibration:
        charts.append(calibration_chart(evaluation.calibration))
    speeds = {_rank(r): r.images_per_second for r in record.ranks if r.images_per_second}
    train = record.data.get("train")
    values: dict[str, Any] = {
        "confusion": figures.confusion_rows(evaluation) if evaluation else [],
        "classes": figures.class_figures(evaluation) if evaluation else [],
        "calibration_error": _calibration_error(evaluation),
        "worst": figures.captioned(pictures.worst),
        "uncertain": figures.captioned(pictures.uncertain),
        "samples": figures.captioned(pictures.samples),
        "time_split": figures.bars(
            {k.replace("_", "-"): v for k, v in (record.time_split or {}).items()}, form=",.2f"
        ),
        "ranks": figures.bars(speeds, form=",.0f"),
        "data": _data(record),
        "labels": figures.bars(train.labels, form=",d") if train and train.labels else [],
        "settings": [row for row in _settings(record) if row[-1] != DEFAULT],
        "defaults": [row[:2] for row in _settings(record) if row[-1] == DEFAULT],
        "environment": _environment(record),
        "command": shlex.join(record.command),
        "serve": _serve(record),
    }
    where = f" on {record.host}" if record.host else ""
    return render_page(
        "report.html",
        charts=charts,
        record=record,
        title=f"{name}: {record.model}" if name else record.model,
        subtitle=f"A run of trainer {record.versions.get('trainer') or ''}{where}",
        tiles=figures.results_of(record).items(),
        sections=_sections(charts, values),
        **values,
    )


def _calibration_error(evaluation: ClassificationRecord | None) -> str | None:
    return figures.percent(figures.calibration_error(evaluation)) if evaluation else None


def _sections(charts: list[Chart], values: dict[str, Any]) -> list[tuple[str, str]]:
    groups = {chart.group for chart in charts}
    all_sections = (
        ("summary", "Summary", True),
        ("next", "Serve and repeat", values["command"] or values["serve"]),
        ("curves", "Learning curves", "curves" in groups),
        ("confusion", "Confusion matrix", values["confusion"]),
        ("classes", "Per class", values["classes"]),
        ("worst", "Worst examples", values["worst"]),
        ("uncertain", "Least certain", values["uncertain"]),
        ("calibration", "Calibration", "calibration" in groups),
        ("time", "Time", values["time_split"]),
        ("ranks", "Processes", values["ranks"]),
        ("data", "Data", values["data"]),
        ("settings", "Settings", values["settings"] or values["defaults"]),
        ("environment", "Versions and device", values["environment"]),
    )
    return [(id, name) for id, name, there in all_sections if there]


def _rank(rank: RankRecord) -> str:
    return f"{rank.rank} ({rank.host})" if rank.host else str(rank.rank)


def _data(record: RunRecord) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, split in record.data.items():
        more = len(split.files) - MOST_FILES
        files = ", ".join(split.files[:MOST_FILES]) + (f" and {more} more" if more > 0 else "")
        count = "unknown" if split.examples is None else f"{split.examples:,}"
        rows.append((name, split.kind or "unknown", count, files or "–"))
    return rows


def _settings(record: RunRecord) -> list[tuple[str, str, str]]:
    if record.job is not None:
        rows = {n: (display_value(s.value), s.source or DEFAULT) for n, s in record.job.items()}
    else:
        # What an older trainer recorded.
        rows = {n: (display_value(v), "–") for n, v in (record.hparams or {}).items()}
    return [(name, *cells) for name, cells in rows.items()]


def _environment(record: RunRecord) -> list[tuple[str, str]]:
    pairs = {
        **record.versions,
        "host": record.host,
        "platform": f"{record.platform} ({record.because})" if record.because else record.platform,
        **{f"device {name.replace('_', ' ')}": value for name, value in record.device.items()},
        "distribution": record.distribution,
        "weights CRC-32C": ", ".join(record.weights_crc32c) or None,
    }
    return [(name, display_value(value)) for name, value in pairs.items() if value is not None]


def _serve(record: RunRecord) -> str | None:
    if not record.model_path:
        return None
    folder, _, version = record.model_path.rstrip("/").rpartition("/")
    folder = folder if version.isdecimal() and folder else record.model_path
    return shlex.join(["trainer", "serve", "--model-dir", folder])
