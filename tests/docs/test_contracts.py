import dataclasses
import re
from pathlib import Path

import pytest

from trainer.cli import endings
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of
from trainer.config.trial import DEFAULT_FILE, DEFAULT_TAG
from trainer.platforms import job_secret
from trainer.platforms.base import Environment
from trainer.platforms.coerce import known_options
from trainer.platforms.registry import PLATFORMS
from trainer.platforms.resolve import TRACKING_VARIABLES
from trainer.reporting import RunRecord
from trainer.reporting.schema import schema_text
from trainer.training.hypertune import KEPT

DOCS = Path(__file__).parent.parent.parent / "docs"
TEXT = (DOCS / "contracts.md").read_text()


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


TABLE = rows(section("The table"))


def test_the_table_has_what_the_code_reads_and_nothing_else():
    code = [
        (p.name, name, field) for p in PLATFORMS.values() for name, field in p.variables.items()
    ]
    code += [
        ("any", f"--{alias}", name)
        for name, (option, _) in known_options().items()
        for alias in (*option.aliases, *(["job-dir"] if name == "job_dir" else []))
    ]
    code.append(("any", job_secret.SECRET_VARIABLE, "secret"))
    code += [("any", name, field) for name, field in TRACKING_VARIABLES.items()]
    table = [(row[0], row[1].strip("`"), row[2].split("`")[1]) for row in TABLE]
    assert sorted(table) == sorted(code)
    assert len(set(table)) == len(table)


@pytest.mark.parametrize("row", TABLE, ids=[row[1].strip("`") for row in TABLE])
def test_each_row_names_a_field_its_flag_if_there_is_one_and_a_meaning(row):
    _, _, field, meaning = row
    name = field.split("`")[1]
    assert name in {f.name for part in (Job, Hparams) for f in dataclasses.fields(part)}
    assert field == (f"`{name}` (`{flag_of(name)}`)" if name in known_options() else f"`{name}`")
    assert meaning


def test_the_platforms_are_those_of_the_code_in_their_order():
    introduction = TEXT.partition("\n## ")[0]
    assert [row[0].strip("`") for row in rows(introduction)] == [*PLATFORMS]


def test_the_exit_codes_are_those_of_the_code():
    codes = [row[0] for row in rows(section("Exit codes"))]
    assert codes == ["0", "1 to 127", "2", "128 and above", "200", "201", "143"]
    assert endings.USER_MISTAKE == 2
    assert 1 <= endings.FAILURE <= 127
    assert endings.RETRY_CODE == 200
    assert endings.PEER_CODE == 201
    assert Job().stopped_code == 143


def test_the_graces_are_those_of_the_code(tmp_path):
    environment = Environment(env={"SM_MODEL_DIR": "m"}, root=tmp_path)
    sagemaker, kubernetes, vertex, local = (p.read(environment).grace for p in PLATFORMS.values())
    seconds_in_text = re.findall(r"on (\d+) s", section("Exit codes"))
    assert [float(seconds) for seconds in seconds_in_text] == [sagemaker, kubernetes, vertex, local]
    assert Job().grace == local


def test_the_metric_file_is_told_as_it_is():
    assert f"`{DEFAULT_FILE}`" in TEXT
    assert f"`{DEFAULT_TAG}`" in TEXT
    assert f"last {KEPT} reports" in TEXT


def test_each_key_of_metrics_json_has_a_row():
    keys = [row[0].strip("`") for row in rows(section("metrics.json"))]
    assert keys == [field.name for field in dataclasses.fields(RunRecord)]


def test_the_schema_of_metrics_json_is_that_of_the_code():
    written = (DOCS / "metrics.schema.json").read_text()
    assert written == schema_text(), (
        "run: python -m trainer.reporting.schema docs/metrics.schema.json"
    )
