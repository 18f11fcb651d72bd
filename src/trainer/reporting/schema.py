"""The JSON Schema of `metrics.json`, which docs/metrics.schema.json holds.

python -m trainer.reporting.schema docs/metrics.schema.json
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from trainer.reporting.record import SCHEMA_VERSION, RunRecord

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def metrics_schema() -> dict[str, Any]:
    """Return the schema, made from `RunRecord`: further keys are allowed, few are required."""
    schema = msgspec.json.schema(RunRecord)
    for part in schema["$defs"].values():
        if text := part.get("description"):
            part["description"] = inspect.cleandoc(text)
    title = f"metrics.json of a run of trainer, schema version {SCHEMA_VERSION}"
    return {"$schema": _DIALECT, "title": title, **schema}


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(metrics_schema(), indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_text())
