"""A page as one file: template, style, scripts and data, with nothing to load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from trainer.reporting.charts import Chart
from trainer.reporting.record import finite

SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js", "page.js")


def render_page(template: str, *, charts: Sequence[Chart], **values: Any) -> str:
    """Return a page.

    Args:
        template: Name of its file.
        charts: Its charts; the scripts that draw them are left out without any.
        **values: For the template.
    """
    data = [{"id": chart.id, "spec": finite(chart.spec)} for chart in charts]
    # `</script>` in a name would end the element.
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return render_fragment(
        template,
        css=Markup(_asset("page.css")),
        scripts=[Markup(_asset(name)) for name in SCRIPTS] if charts else [],
        charts=charts,
        charts_json=Markup(text),
        shown={chart.group for chart in charts},
        **values,
    )


def render_fragment(template: str, **values: Any) -> str:
    """Return what a template makes of some values.

    Args:
        template: Name of its file.
        **values: For the template; a text is shown as it is, whatever is in it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trainer.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def _asset(name: str) -> str:
    return resources.files("trainer.reporting").joinpath("assets", name).read_text("utf-8")
