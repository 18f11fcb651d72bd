"""A run as a piece of HTML for a notebook: its results, its curves and its confusion matrix."""

from __future__ import annotations

from trainer.reporting import figures
from trainer.reporting.charts import curve_charts
from trainer.reporting.html import render_fragment
from trainer.reporting.line_svg import line_svg
from trainer.reporting.record import RunRecord

# The charts of the page that a summary leaves out.
_LEFT_OUT = ("chart-rate", "chart-speed")


def render_summary(record: RunRecord, *, report: str = "") -> str:
    """Return the summary of a run as one element, with no script and no style sheet.

    Args:
        record: The run.
        report: Where its page is.
    """
    evaluation = record.evaluation
    charts = curve_charts(record.curves) if record.curves else []
    drawn = (line_svg(chart) for chart in charts if chart.id not in _LEFT_OUT)
    return render_fragment(
        "summary.html",
        record=record,
        tiles=figures.results_of(record).items(),
        charts=[chart for chart in drawn if chart],
        confusion=figures.confusion_rows(evaluation) if evaluation else [],
        report=report,
    )
