"""Deployments to docker, with a client that keeps its containers in a file; see tests/container."""

import json
import logging
from pathlib import Path

import pytest
from made_models import keras_file, saved_model
from stub_server import stub_server

from trainer.config import UserError
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deploying import deploy
from trainer.endpoints.docker.requests import host_of
from trainer.endpoints.docker.target import DockerTarget
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.endpoints.undeploying import undeploy
from trainer.runtime import StopRequest

CLIENT = str(Path(__file__).parent / "docker_stub.py")


@pytest.fixture
def server():
    with stub_server() as stub:
        yield stub


@pytest.fixture
def containers(tmp_path, monkeypatch):
    state = tmp_path / "state.json"
    monkeypatch.setenv("DOCKER_STUB", str(state))
    return lambda: json.loads(state.read_text()) if state.exists() else {}


@pytest.fixture
def model(tmp_path):
    saved_model(tmp_path / "model/3")
    return tmp_path / "model"


@pytest.fixture
def run(server, containers, model, tmp_path):
    def deploy_it(source=None, *, stamp="20260131-120000", **given):
        made = {"to": "docker", "name": "digits", "port": server.port, "engine": CLIENT,
                "timeout": 20.0, **given}  # fmt: skip
        deploy(str(source or model), DeployOptions(**made), stamp=stamp, stop=StopRequest())

    return deploy_it


def take_down(capsys, name="digits", **given):
    capsys.readouterr()
    undeploy(name, UndeployOptions(to="docker", engine=CLIENT, **given))
    return capsys.readouterr().out.splitlines()


def test_a_folder_of_versions_is_mounted_where_it_lies(run, containers, model, capsys, server):
    run(tags=("team=vision",), env=("A=1",), gpus="all")
    text = capsys.readouterr().out
    assert f"http://localhost:{server.port}/invocations" in text
    argv = " ".join(containers()["digits"]["argv"])
    assert f"source={model},target=/opt/ml/model,readonly" in argv
    assert "--env A=1 --gpus all --publish 127.0.0.1:" in argv
    assert containers()["digits"]["Config"]["Labels"] == {
        "team": "vision", "trainer-deploy": "digits",
    }  # fmt: skip
    assert take_down(capsys, dry_run=True) == ["would take down container digits"]
    assert take_down(capsys) == ["took down container digits"]
    assert take_down(capsys) == ["nothing that was deployed as digits is there"]
    assert model.is_dir()


def test_what_is_packed_is_deleted_only_if_that_is_wanted(run, containers, model, tmp_path, capsys):
    run(model / "3", artifacts=str(tmp_path / "packed"))
    folder = tmp_path / "packed/digits/20260131-120000"
    assert (folder / "3/saved_model.pb").is_file()
    assert take_down(capsys)[-1] == f"left {folder} (--delete-data deletes it)"
    run(model / "3", artifacts=str(tmp_path / "packed"), stamp="20260131-120001")
    assert take_down(capsys, delete_data=True)[-1].startswith("deleted ")
    assert [each.name for each in folder.parent.iterdir()] == ["20260131-120000"]


def test_code_goes_along_in_the_place_of_the_models_own(run, model, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    with pytest.raises(UserError, match=r"has no inference\.py"):
        run(code=str(code))
    (code / "inference.py").touch()
    run(code=str(code), artifacts=str(tmp_path / "packed"))
    assert (tmp_path / "packed/digits/20260131-120000/code/inference.py").is_file()


def test_a_name_that_is_taken_is_refused_or_updated(run, containers, caplog):
    caplog.set_level(logging.INFO, "trainer")
    with pytest.raises(UserError, match="there is no container of this name"):
        run(update=True)
    run()
    with pytest.raises(UserError, match="there is a container of this name already"):
        run()
    run(update=True, image="missing:1")
    assert "image missing:1 is not here; it is pulled" in caplog.text
    assert list(containers()) == ["digits"]


def test_a_foreign_container_is_left_alone(run, containers, tmp_path, capsys):
    foreign = {"digits": {"Config": {"Labels": {}}, "State": {"Running": True}}}
    (tmp_path / "state.json").write_text(json.dumps(foreign))
    with pytest.raises(UserError, match="trainer deploy did not make"):
        run(update=True)
    assert take_down(capsys) == ["left container digits: trainer deploy did not make it"]
    assert list(containers()) == ["digits"]


def test_a_container_that_ends_is_explained_and_taken_down(run, containers, caplog):
    with pytest.raises(UserError, match="container dies: its server ended"):
        run(name="dies")
    assert "dies: trainer: failed: no model" in caplog.text
    assert containers() == {}


def test_an_update_that_fails_starts_the_one_before_again(run, containers, monkeypatch, caplog):
    run()
    monkeypatch.setenv("DOCKER_FAILS", "run")
    with pytest.raises(UserError, match="another program listens there; end that one"):
        run(update=True)
    assert "started the container before again" in caplog.text
    assert containers()["digits"]["State"]["Running"]


def test_a_container_that_never_answers_is_taken_down(run, containers, server):
    server.gets.pop("/ping")
    with pytest.raises(UserError, match=r"still starting after 0\.3 s"):
        run(timeout=0.3)
    assert containers() == {}


def test_a_container_is_asked_by_its_name(containers, server, monkeypatch):
    options = PredictOptions(to="docker", engine=CLIENT)
    with pytest.raises(UserError, match="its port 8080 is not published"):
        DockerTarget().client("digits", options)
    monkeypatch.setenv("DOCKER_PORT", f"0.0.0.0:{server.port}")
    assert (
        DockerTarget().client("digits", options).name
        == f"http://localhost:{server.port}/invocations"
    )


def test_without_an_engine_or_a_model_it_is_one_line(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="DOCKER=/nowhere/docker: no such program"):
        run(engine="/nowhere/docker")
    with pytest.raises(UserError, match="there is no such file or folder"):
        run("nothing/here")
    with pytest.raises(UserError, match="there is no such file or folder; name the model folder"):
        run("nothing")
    with pytest.raises(UserError, match="a mount can have no comma"):
        run(artifacts=str(tmp_path / "a,b"))
    with pytest.raises(UserError, match="expected a folder for docker"):
        run(artifacts="s3://b/x")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="neither docker nor podman is on PATH"):
        run(engine=None)


def test_addresses_of_this_machine_are_called_localhost():
    assert host_of("0.0.0.0") == host_of("127.0.0.1") == "localhost"
    assert (host_of("10.0.0.1"), host_of("fe80::1")) == ("10.0.0.1", "[fe80::1]")


def test_requests_are_printed_and_nothing_is_made(run, containers, model, capsys, tmp_path):
    run(print="request", engine="/nowhere/docker")
    (request,) = json.loads(capsys.readouterr().out)
    assert request["command"][:2] == ["docker", "run"]
    assert containers() == {}
    file = keras_file(tmp_path / "net.keras")
    run(file, print="request", name=None)
    (request,) = json.loads(capsys.readouterr().out)
    assert "deployments/net/20260131-120000" in " ".join(request["command"])
