"""The site of the documentation: built strictly, with what the program itself says in it."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.cli import endings
from trainer.cli.verbs import VERBS
from trainer.config import Hparams, Job, flag_of, options_of
from trainer.serving.formats.registry import READERS, WRITERS

ROOT = Path(__file__).parents[2]
PAGES = [*(ROOT / "docs").glob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "-d", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    # Strict: a link or an anchor that leads nowhere is an error.
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_every_page_is_built_and_listed_for_readers(site: Path):
    first = (site / "index.html").read_text()
    for page in PAGES:
        name = page.with_suffix(".html").name
        assert (site / name).is_file()
        assert f'href="{name}"' in first or name == "index.html", name


def test_the_reference_has_the_help_of_every_command(site: Path):
    text = text_of(site / "flags.html")
    for words in VERBS:
        assert f"usage: trainer {words} " in text
    # A place's own flags are those of its command alone.
    assert "--instance-type" in text
    assert "--learning-rate" in text


def test_the_python_page_has_what_the_package_offers(site: Path):
    text = text_of(site / "python.html")
    for name in (
        "train_and_evaluate",
        "load_data",
        "load_columns",
        "read_record",
        "Job",
        "Hparams",
    ):
        assert f"trainer.{name}" in text
    assert "SavedModel and a report" in text


def test_the_notebooks_can_be_taken_from_the_site(site: Path):
    text = (site / "notebooks.html").read_text()
    for path in (ROOT / "examples/notebooks").glob("*.ipynb"):
        assert f'href="notebooks/{path.name}"' in text
        assert (site / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_the_page_of_options_has_every_field_of_a_job(site: Path):
    text = text_of(site / "job.html")
    for part in (Job, Hparams):
        for field in dataclasses.fields(part):
            assert f"{part.__name__}.{field.name}" in text, field.name
    for name in (*options_of(Job), *options_of(Hparams)):
        assert flag_of(name) in text
    assert "0 to 0.99" in text


def test_the_page_of_metrics_has_every_key_and_what_it_means(site: Path):
    text = text_of(site / "metrics.html")
    schema = json.loads((ROOT / "docs/metrics.schema.json").read_text())
    for name, part in schema["$defs"].items():
        assert name in text or name == "RunRecord"
        for key in part.get("properties", {}):
            assert key in text
    assert "share of the test examples whose class is right" in text


def test_the_page_of_the_server_has_its_formats_and_paths(site: Path):
    text = text_of(site / "http.html")
    for kind in (*READERS, *WRITERS, "/v1/models/{model}:predict", "/invocations", "/ping"):
        assert kind in text


def test_the_page_of_exit_codes_has_those_of_the_program(site: Path):
    text = text_of(site / "exit-codes.html")
    for code in (endings.USER_MISTAKE, endings.RETRY_CODE, endings.PEER_CODE, Job().stopped_code):
        assert re.search(rf"^{code}$", text, re.MULTILINE)


def test_the_flags_of_a_place_of_deploy_are_marked(site: Path):
    assert re.search(r"--serverless\s+yes\s+no\s+no", text_of(site / "flags.html"))


def test_the_search_finds_an_error_by_a_word_of_it(site: Path):
    index = json.loads((site / "search/search_index.json").read_text())
    assert any("sagemaker" in entry["text"].lower() for entry in index["docs"])
    assert {entry["location"].partition("#")[0] for entry in index["docs"]} >= {"flags.html"}
