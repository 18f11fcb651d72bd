"""A new request or response format is one file and one line, and the server knows of it."""

import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import trainer
from trainer.serving.formats import registry
from trainer.serving.formats.outputs import ResponseFormat, tables
from trainer.serving.formats.request import checked_request, choose_signature
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature, Tensor

SEMICOLONS = """
import numpy as np

from trainer.serving.formats.outputs import ResponseFormat
from trainer.serving.formats.request import checked_request, choose_signature


def read(body, signatures, name=None):
    signature = choose_signature(signatures, name)
    rows = [[float(cell) for cell in line.split(b";")] for line in body.splitlines()]
    name = signature.only_input("text").name
    return checked_request(signature, {name: np.array(rows, np.float32)})


def _write(outputs, form):
    (array,) = outputs.values()
    return b"".join(b";".join(b"%g" % value for value in row) + b"\\n" for row in array)


RESPONSE = ResponseFormat(write=_write, several_outputs=False, aliases=("text/semicolons",))
"""
# What a server does with it; a process of its own, as its tables are others.
PROGRAM = """
import json, sys
import numpy as np
from types import SimpleNamespace
from trainer.serving.formats import registry, response
from trainer.serving.formats.request import Form
from trainer.serving.http import openapi
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature, Tensor

registry.load()
x, y = (Tensor(name=n, dtype=np.dtype("f4"), type_name="float", shape=(None, 2)) for n in "xy")
signature = Signature(name="serving_default", inputs=(x,), outputs=(y,))
request = registry.reader("text/x-semicolons")(b"1;2\\n3;4", {"serving_default": signature}, None)
media_type = registry.accepted("text/semicolons;q=0.9, text/csv;q=0.8")
def write(outputs):
    try:
        return response.write(outputs, media_type=media_type, form=request.form).decode()
    except HTTPError as error:
        return error.status, error.message
try:
    registry.accepted("text/html")
except HTTPError as error:
    refused = error.message
version = SimpleNamespace(model=SimpleNamespace(signatures={"serving_default": signature}))
store = SimpleNamespace(names=lambda: ["m"], known=lambda name: "m", get=lambda name: version)
post = openapi.document(store)["paths"]["/invocations"]["post"]
y = request.arrays["x"] * 2
json.dump({
    "media_type": media_type, "tf": registry.tf_accepted(media_type),
    "text": write({"y": y}),
    "several": write({"y": y, "z": y}), "refused": refused,
    "takes": list(post["requestBody"]["content"]),
    "gives": list(post["responses"]["200"]["content"]),
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the package with the format in it: one file, and one line for each direction."""
    folder = tmp_path_factory.mktemp("package")
    source = Path(trainer.__file__).parent
    shutil.copytree(source, folder / "trainer", ignore=shutil.ignore_patterns("__pycache__"))
    formats = folder / "trainer/serving/formats"
    (formats / "semicolons.py").write_text(SEMICOLONS)
    table = (formats / "registry.py").read_text()
    for before, entry in (
        ('        "text/csv": "csv:read",\n', "read"),
        ('        "text/csv": "csv:RESPONSE",\n', "RESPONSE"),
    ):
        assert table.count(before) == 1
        line = f'        "text/x-semicolons": "semicolons:{entry}",\n'
        table = table.replace(before, before + line)
    (formats / "registry.py").write_text(table)
    return folder


def test_a_new_format_is_one_file_and_one_line(package):
    env = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert said["media_type"] == said["tf"] == "text/x-semicolons"
    assert said["text"] == "2;4\n6;8\n"
    status, message = said["several"]
    assert status == 406
    assert "the outputs y, z, of which text/x-semicolons can hold one" in message
    assert "text/csv, text/x-semicolons, application/x-npy" in said["refused"]
    assert "text/x-semicolons" in said["takes"]
    assert "text/x-semicolons" in said["gives"]


def test_every_format_can_be_imported():
    registry.load()
    assert all(callable(registry.READERS[name]) for name in registry.READERS)
    assert all(callable(registry.writer(name).write) for name in registry.WRITERS)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("application/jsons", "application/jsonlines"),
        ("application/x-ndjson", "application/jsonlines"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("", "application/json"),
        ("TEXT/CSV", "text/csv"),
    ],
)
def test_aliases_and_ranges_mean_the_first_format_that_has_them(header, media_type):
    assert registry.accepted(header) == media_type


@pytest.mark.parametrize("header", [None, "text/html", "*/*", "text/html, text/csv"])
def test_tensorflow_servings_paths_answer_in_json_unless_one_format_is_named(header):
    assert registry.tf_accepted(header) == "application/json"
    assert registry.tf_accepted("text/csv") == "text/csv"


def test_an_unknown_type_is_answered_with_the_table():
    with pytest.raises(HTTPError) as caught:
        registry.accepted("text/html")
    assert caught.value.status == 406
    assert caught.value.message == (
        f"Accept: text/html: expected one of {', '.join(registry.WRITERS)}"
    )
    with pytest.raises(HTTPError, match="expected one of " + ", ".join(registry.READERS)):
        registry.reader("text/html")


def test_the_example_of_the_docstring_reads_and_writes():
    names = {
        "io": io,
        "np": np,
        "checked_request": checked_request,
        "choose_signature": choose_signature,
        "tables": tables,
    }
    code = "\n".join(line for line in registry.__doc__.splitlines() if line.startswith("    "))
    names |= {"ResponseFormat": ResponseFormat}
    exec("from __future__ import annotations\n" + textwrap.dedent(code), names)
    tensor = Tensor(name="x", dtype=np.dtype("f4"), type_name="float", shape=(None, 2))
    signature = Signature(name="serving_default", inputs=(tensor,), outputs=(tensor,))
    request = names["read"](b"1\t2\n3\t4.5\n", {"serving_default": signature})
    assert request.arrays["x"].tolist() == [[1, 2], [3, 4.5]]
    assert names["RESPONSE"].write(request.arrays, request.form) == b"1.0\t2.0\n3.0\t4.5\n"
