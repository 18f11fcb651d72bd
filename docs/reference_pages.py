"""Pages of the reference made from the code: Job, metrics.json, HTTP API, exit codes."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from trainer.cli import endings
from trainer.config import Hparams, Job, flag_of, option_types, options_of
from trainer.config.options import LARGEST, Option

TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false", tuple: "texts"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages, which no file holds."""
    contracts = Path(config.docs_dir, "contracts.md").read_text()
    schema = json.loads(Path(config.docs_dir, "metrics.schema.json").read_text())
    pages = {
        "job.md": job_page(),
        "metrics.md": metrics_page(contracts, schema),
        "exit-codes.md": exit_codes_page(contracts),
        "http.md": http_page(),
    }
    for name, lines in pages.items():
        files.append(File.generated(config, name, content="\n".join(lines) + "\n"))
    return files


def section(text: str, title: str) -> str:
    """Return the section of a page below a heading."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the first table of a text, without its heading."""
    table = re.search(r"^\|.*(?:\n\|.*)*", text, re.MULTILINE)
    lines = table[0].splitlines()[2:] if table else []
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def cell(text: str) -> str:
    """Return text as a cell of a table holds it."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def job_page() -> Iterator[str]:
    """Yield the lines of the page of all options of a job."""
    yield "# Every option of a job\n"
    yield (
        "A training run is described by one `Job`, whichever platform runs it. Each row of these "
        "tables is a flag of `trainer train`, a hyperparameter of SageMaker and Vertex AI with the "
        "same name, and a field of `trainer.Job` or `trainer.Hparams` in Python "
        "([Python](python.md)). Names may have hyphens or underscores everywhere.\n"
    )
    yield (
        "`trainer train --dry-run` prints the value of each option, and which flag, variable or "
        "file set it. [What each platform says](contracts.md) lists the variables.\n"
    )
    groups: dict[str, list[str]] = {}
    for part in (Hparams, Job):
        defaults = {field.name: field.default for field in dataclasses.fields(part)}
        for name, limits in options_of(part).items():
            kind = option_types(part)[name]
            row = _option_row(name, limits, kind, defaults[name], part)
            groups.setdefault(limits.group, []).append(row)
    for group, lines in groups.items():
        yield f"## {group[0].upper()}{group[1:]}\n"
        yield "| flag, and field | values, and default | meaning |"
        yield "| --- | --- | --- |"
        yield from [*lines, ""]
    yield "## Fields that only a platform sets\n"
    yield "These fields have no flag. The platform or the launcher of processes sets them.\n"
    yield "| field | meaning |"
    yield "| --- | --- |"
    for part in (Hparams, Job):
        own = {field.name for field in dataclasses.fields(part)} - {*options_of(part)}
        for name, text in attributes_of(part).items():
            if name in own:
                yield f"| `{part.__name__}.{name}` | {cell(text)} |"


def _option_row(name: str, limits: Option, kind: type, default: Any, part: type) -> str:
    names = (flag_of(name), *(f"--{alias}" for alias in limits.aliases), f"{part.__name__}.{name}")
    about = limits.help.replace("{names}", ", ".join(limits.names))
    before, _, by = about.rpartition(" (default: ")
    shown = by.rstrip(")") if before else "of the model" if limits.by_model else f"`{default}`"
    if limits.many and not before:
        shown = "none"
    of_type = f"{TYPES.get(kind, 'texts')} {_range(limits, kind)}".strip()
    values = ", ".join(f"`{each}`" for each in limits.choices) or of_type
    whole = "<br>".join(f'<code class="whole">{each}</code>' for each in names)
    return f"| {whole} | {cell(values)}<br>default: {cell(shown)} | {cell(before or about)} |"


def _range(limits: Option, kind: type) -> str:
    if kind not in (int, float):
        return limits.metavar or ""
    low = f"above {limits.low:g}" if limits.above else f"{limits.low:g}"
    if limits.low == -float("inf"):
        return "any"
    if limits.high >= LARGEST:
        return f"{low} or more" if not limits.above else low
    return f"{low} to {limits.high:g}"


def attributes_of(part: type) -> dict[str, str]:
    """Return the descriptions of a class's attributes, from its docstring."""
    text = inspect.cleandoc(part.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: " ".join(about.split()) for name, about in found}


def metrics_page(contracts: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the page of metrics.json."""
    meaning = {row[0].strip("`"): row[1] for row in rows(section(contracts, "metrics.json"))}
    parts = schema["$defs"]
    yield "# metrics.json\n"
    yield (
        "Every run writes `metrics.json` beside its model, or into `--output-dir`. It has all that "
        "the report shows, for programs. You need nothing but a reader of JSON; "
        "[metrics.schema.json](metrics.schema.json) is its JSON Schema.\n"
    )
    yield (
        "Read `model` and `steps` always; other keys may be missing or null. Pass over keys that "
        "you do not know. Times are in seconds, accuracies between 0 and 1.\n"
    )
    yield "| key | type | meaning |"
    yield "| --- | --- | --- |"
    record = parts["RunRecord"]["properties"]
    for name, value in record.items():
        yield f"| `{name}` | {_json_type(value)} | {meaning[name]} |"
    yield ""
    for name, part in parts.items():
        if name == "RunRecord":
            continue
        about = inspect.cleandoc(part.get("description", "")).partition("\n\n")[0]
        yield f"## {name}\n\n{' '.join(about.split())}\n"
        if part.get("properties"):
            yield "| key | type |"
            yield "| --- | --- |"
            yield from (f"| `{k}` | {_json_type(v)} |" for k, v in part["properties"].items())
            yield ""


def _json_type(value: dict[str, Any]) -> str:
    """Return the type of a value in words, with links to the objects of the page."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_json_type(each) for each in value["anyOf"])
    if value.get("type") == "array":
        return f"list of {_json_type(value.get('items') or {})}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"object of {_json_type(value['additionalProperties'])}"
    kind = value.get("type", "any value")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def exit_codes_page(contracts: str) -> Iterator[str]:
    """Yield the lines of the page of exit codes."""
    text = section(contracts, "Exit codes")
    codes = {
        "0": 0, "1": endings.FAILURE, "2": endings.USER_MISTAKE, "143": Job().stopped_code,
        "200": endings.RETRY_CODE, "201": endings.PEER_CODE,
    }  # fmt: skip
    assert all(int(name) == code for name, code in codes.items())
    yield "# Exit codes\n"
    yield (
        "The exit code of `trainer`, and of a container that runs it, says whether it makes sense "
        "to start the same job again. Kubernetes, Kubeflow and Vertex AI decide by it.\n"
    )
    yield text.strip() + "\n"
    yield "## Codes of single commands\n"
    yield "| command | code | meaning |"
    yield "| --- | --- | --- |"
    yield "| any | 1 | an error that the trainer did not expect; `--debug` shows where |"
    yield "| any | 130 | Ctrl-C, or another signal, ended the command before its work was done |"
    yield (
        "| `trainer submit --wait`, `trainer jobs logs --follow` | the job's own | the code of the "
        "container that failed, where the place gives it; 1 where it does not |"
    )
    yield "| `trainer predict`, `trainer data sync` | 1 | some files failed; the others are done |"
    yield "\n[Troubleshooting](troubleshooting.md) goes by the line that stands beside the code."


# Each path of the server, with what it asks and answers; the build fails where the app has others.
PATHS = {
    ("POST", "/invocations"): ("SageMaker's and the general way to ask the default model: any "
                               "content type below", "200, 400, 404, 406, 408, 413, 415, 503, 504"),
    ("GET", "/ping"): ("whether requests should be sent here", "200, 503 until all models are "
                       "ready and after SIGTERM"),
    ("GET", "/execution-parameters"): ("what suits a batch transform job", "200"),
    ("GET", "/v1/models/{model}"): ("the states of the model's versions", "200, 404"),
    ("GET", "/v1/models/{model}/versions/{number}"): ("the state of one version", "200, 404"),
    ("GET", "/v1/models/{model}/metadata"): ("the signatures: names, types and shapes of inputs "
                                             "and outputs", "200, 404"),
    ("POST", "/v1/models/{model}:predict"): ("TensorFlow Serving's way to ask a model",
                                             "200, 400, 404, 408, 413, 503, 504"),
    ("POST", "/v1/models/{model}/versions/{number}:predict"): ("the same of one version",
                                                               "200, 400, 404, 408, 413, 503, 504"),
    ("GET", "/metrics"): ("counters and times for Prometheus", "200"),
    ("GET", "/openapi.json"): ("the OpenAPI document of this server with its models", "200"),
    ("GET", "/"): ("a page to try the model by hand", "200"),
    ("GET", "AIP_HEALTH_ROUTE"): ("Vertex AI's health check, on the path that this variable has",
                                  "as `/ping`"),
    ("POST", "AIP_PREDICT_ROUTE"): ("Vertex AI's predictions, on the path that this variable has",
                                    "as `/invocations`"),
}  # fmt: skip
BODIES = {
    "application/json": '`{"instances": […]}` or `{"inputs": …}`, with `signature_name` if it is '
    "not the default one; on `/invocations` also a bare list, one instance, or several JSON values",
    "application/jsonlines": "one instance a line",
    "application/jsons": "the same",
    "application/x-ndjson": "the same",
    "text/csv": "one instance a line, without a heading",
    "application/x-npy": "one array of NumPy, its first dimension the instances",
    "image/png": "one image",
    "image/jpeg": "one image",
}
ANSWERS = {
    "application/json": '`{"predictions": […]}`, or `{"outputs": …}` for a request of `inputs`',
    "application/jsonlines": "one prediction a line",
    "text/csv": "one prediction a line, the outputs side by side in the order of their names",
    "application/x-npy": "one array, the outputs side by side",
}
STATUSES = {
    200: "the answer",
    400: "the body or its values do not fit the model; the error names what came and what was "
    "expected",
    404: "there is no such path, model or version",
    405: "the path has no such method",
    406: "no format of `Accept` is written here",
    408: "the header or the body came too slowly",
    413: "the body is larger than `--max-payload-mb`",
    415: "no such content type or encoding is read here",
    431: "the header is larger than 64 KiB, or has more than 200 fields",
    499: "the client went away before the answer; in the log alone",
    500: "the model or its handler raised an error",
    503: "the queue is full, or the model is not ready; `Retry-After` says when to come again",
    504: "the answer took longer than `--timeout`",
}


# The functions and classes of the server whose first argument is the status of an error.
RAISING = ("HTTPError", "LimitError", "error_response", "_refuse", "_end")


def http_page() -> Iterator[str]:
    """Yield the lines of the page of the server's HTTP API."""
    from trainer.serving.formats.registry import READERS, WRITERS

    assert real_routes() == page_routes(), (real_routes(), page_routes())
    assert ([*BODIES], [*ANSWERS]) == ([*READERS], [*WRITERS])
    assert statuses_in_code() == {*STATUSES} - {200}, statuses_in_code()
    yield "# HTTP API of the server\n"
    yield (
        "`trainer serve`, `docker run IMAGE serve` and each endpoint of `trainer deploy` answer on "
        "these paths. [Serving](serving.md) shows how to start it and has a command for each; "
        "`GET /openapi.json` describes the models that a server has.\n"
    )
    yield "## Paths\n"
    yield "| method | path | what it does | status |"
    yield "| --- | --- | --- | --- |"
    for (method, path), (about, codes) in PATHS.items():
        yield f"| {method} | `{path}` | {about} | {codes} |"
    yield (
        "\nHEAD is answered where GET is. `X-Amzn-SageMaker-Custom-Attributes: tfs-model-name=NAME,"
        "tfs-model-version=N` chooses a model on `/invocations`.\n"
    )
    yield "## Request bodies\n"
    yield "| Content-Type | body |"
    yield "| --- | --- |"
    yield from (f"| `{kind}` | {about} |" for kind, about in BODIES.items())
    yield "\n`Content-Encoding: gzip` is understood.\n"
    yield "## Response bodies\n"
    yield "`Accept` chooses among them; without it the answer is JSON.\n"
    yield "| Accept | body |"
    yield "| --- | --- |"
    yield from (f"| `{kind}` | {about} |" for kind, about in ANSWERS.items())
    yield "\n## Status codes\n"
    yield 'An error has the body `{"error": "one line"}`.\n'
    yield "| status | meaning |"
    yield "| --- | --- |"
    yield from (f"| {code} | {about} |" for code, about in STATUSES.items())


def real_routes() -> set[tuple[str, str]]:
    """Return methods and paths of the application, as it makes them."""
    from trainer.serving.http.app import make_app
    from trainer.serving.settings import Settings

    anything: Any = SimpleNamespace(
        ping=None, invocations=None, execution_parameters=None, get=None, post=None
    )
    settings = Settings(health_route="/AIP_HEALTH_ROUTE", predict_route="/AIP_PREDICT_ROUTE")
    app: Any = make_app(
        settings=settings, store=anything, state=anything, sagemaker=anything, tf_serving=anything
    )
    found = set()
    for route in app.routes:
        for method in route.endpoint._methods.keys() - {"HEAD"}:
            found.add((method, route.path.replace("/AIP", "AIP").partition("{")[0]))
    # These are taken to be refused in TensorFlow Serving's own words.
    return found - {(method, "/v1") for method in ("PUT", "DELETE", "PATCH")}


def page_routes() -> set[tuple[str, str]]:
    """Return methods and paths of the page, TensorFlow Serving's as one."""
    return {(method, "/v1" if path.startswith("/v1") else path) for method, path in PATHS}


def statuses_in_code() -> set[int]:
    """Return the statuses of errors that the server's code names."""
    import trainer.serving
    from trainer.serving.http.endpoint import CLIENT_CLOSED_REQUEST

    found = {CLIENT_CLOSED_REQUEST}
    for path in Path(trainer.serving.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name, first = ast.unparse(node.func), node.args[0]
            if (
                name.endswith(RAISING)
                and isinstance(first, ast.Constant)
                and isinstance(first.value, int)
            ):
                found.add(first.value)
    return found
