"""Where the options of `trainer deploy`, `predict` and `undeploy` come from."""

import argparse

import pytest

from trainer.cli import command_line
from trainer.cli.endpoint_flags import PLACE, endpoint_options, endpoint_place
from trainer.endpoints import DeployOptions, PredictOptions

TEAM = """\
to = "sagemaker"
image = "team/image"

[sagemaker]
role = "arn:aws:iam::111122223333:role/Team"
region = "eu-west-1"
instance-type = "ml.p4d.24xlarge"

[vertex]
project = "team"
service-account = "team@p"

[deploy]
artifacts = "s3://team/deployed"
max-count = 3
timeout = 60.0
"""


@pytest.fixture
def options(tmp_path, monkeypatch):
    (tmp_path / "trainer.toml").write_text(TEAM)
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "DOCKER", "TRAINER_TO"):
        monkeypatch.delenv(name, raising=False)

    def made(kind=DeployOptions, names=None, **flags):
        return endpoint_options(kind, argparse.Namespace(**flags), names=names)

    return made


def test_a_team_shares_what_an_endpoint_and_a_job_have_in_common(options):
    found = options()
    assert (found.to, found.image, found.region) == ("sagemaker", "team/image", "eu-west-1")
    assert found.role == "arn:aws:iam::111122223333:role/Team"
    assert (found.artifacts, found.max_count) == ("s3://team/deployed", 3)
    # The machines that train are not those that serve.
    assert found.instance_type is None


def test_flags_come_before_variables_and_these_before_the_file(options, monkeypatch):
    monkeypatch.setenv("TRAINER_DEPLOY_IMAGE", "variable/image")
    monkeypatch.setenv("TRAINER_DEPLOY_REGION", "eu-west-2")
    assert options().image == "variable/image"
    assert options(region="eu-west-3").region == "eu-west-3"
    assert options().region == "eu-west-2"


def test_what_a_place_does_not_have_is_left_out(options):
    found = options(to="docker")
    assert (found.max_count, found.role) == (None, None)
    vertex = options(to="vertex", region="r")
    assert (vertex.project, vertex.role) == ("team", "team@p")


def test_requests_are_sent_where_the_team_deploys_but_with_their_own_settings(options):
    found = options(PredictOptions, PLACE)
    assert (found.to, found.region, found.timeout) == ("sagemaker", "eu-west-1", 60.0)
    assert PredictOptions().timeout == 60.0
    assert options(PredictOptions, PLACE, to="http").region is None


def test_a_place_without_endpoints_is_none_of_theirs(options, monkeypatch):
    monkeypatch.setenv("TRAINER_TO", "kubernetes")
    assert endpoint_place(argparse.Namespace()) == ""
    assert options().to is None


def test_amazons_variable_of_the_region_is_read(options, monkeypatch, tmp_path):
    (tmp_path / "trainer.toml").write_text("")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert options(to="sagemaker").region == "eu-north-1"
    assert options(to="vertex").region is None or options(to="vertex").region != "eu-north-1"


def test_the_settings_of_endpoints_are_shown_with_their_sources(options, capsys, tmp_path):
    assert command_line.main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert f"[deploy] artifacts = s3://team/deployed  ({tmp_path}/trainer.toml: [deploy]" in shown
    assert command_line.main(["config", "show", "deploy"]) == 0
    assert "[deploy] count = 1  (default)" in capsys.readouterr().out
