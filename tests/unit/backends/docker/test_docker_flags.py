"""The flags of containers, as `docker run` and the engine's API have them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from engine_jobs import submission_of

from trainer.backends.docker.backend import as_command, as_request, request
from trainer.backends.docker.options import DockerOptions
from trainer.backends.engine.client import Engine, find_engine
from trainer.backends.engine.request import byte_count
from trainer.config.errors import RetryableError, UserError


def body(**options: Any) -> dict[str, Any]:
    return json.loads(as_request(request(submission_of({}), DockerOptions(**options))))[0]["body"]


def command(**options: Any) -> str:
    return as_command(request(submission_of({}), DockerOptions(**options)))


@pytest.mark.parametrize(
    ("gpus", "flag", "device"),
    [
        ("all", "--gpus all", {"Count": -1}),
        ("2", "--gpus 2", {"Count": 2}),
        ("device=0,3", "--gpus '\"device=0,3\"'", {"DeviceIDs": ["0", "3"]}),
    ],
)
def test_gpus_are_asked_for_and_the_image_for_them_is_taken(gpus, flag, device):
    expected = {"Driver": "", "Capabilities": [["gpu"]], **device}
    assert body(gpus=gpus)["HostConfig"]["DeviceRequests"] == [expected]
    assert body(gpus=gpus)["Image"] == "trainer:gpu"
    assert flag in command(gpus=gpus)


def test_an_image_that_is_named_is_taken_with_gpus_too():
    job = dataclasses.replace(submission_of({}), image="mine:1")
    (container,) = request(job, DockerOptions(gpus="all")).containers
    assert container.image == "mine:1"


def test_limits_are_numbers_for_the_engine():
    config = body(memory="1.5g", cpus=1.5, shm_size="64m", network="none")["HostConfig"]
    assert (config["Memory"], config["NanoCpus"]) == (3 * 2**29, 1_500_000_000)
    assert (config["ShmSize"], config["NetworkMode"]) == (2**26, "none")
    assert "--memory 1.5g" in command(memory="1.5g")
    assert "--pull never" in command(pull="never")


def test_the_images_own_user_is_left():
    assert "User" not in body(user="image")
    assert "--user" not in command(user="image")


@pytest.mark.parametrize(
    ("text", "count"), [("10", 10), ("2k", 2048), ("1 GiB", 2**30), ("3b", 3), ("1.5m", 1572864)]
)
def test_sizes_have_dockers_units(text, count):
    assert byte_count(text, flag="--memory") == count


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"gpus": "many"}, "--gpus many: expected all, a number, or device=0,1"),
        ({"memory": "much"}, "--memory much: expected a size such as 512m or 4g"),
        ({"user": "me"}, "--user me: expected UID:GID, or image"),
        ({"mount": ("here",)}, "--mount here: expected HERE:THERE or HERE:THERE:rw"),
        ({"mount": ("here:there",)}, "--mount here:there: expected HERE:THERE"),
    ],
)
def test_a_flag_of_another_form_is_named(options, text):
    with pytest.raises(UserError, match=text):
        DockerOptions(**options)


def test_two_things_in_one_place_are_refused(tmp_path):
    mount = (f"{tmp_path}:/output",)
    with pytest.raises(UserError, match="something else is mounted there already"):
        request(submission_of({}), DockerOptions(mount=mount))


def test_several_hosts_are_for_compose():
    with pytest.raises(UserError, match="--to docker with 2 hosts: it is one container; use --to"):
        request(submission_of({}, hosts=2), DockerOptions())


def test_a_time_limit_is_said_to_have_no_effect(caplog):
    request(submission_of({}, max_seconds=60, spot=True), DockerOptions())
    assert [r.message.partition(":")[0] for r in caplog.records] == ["--max-time", "--spot"]


def test_a_client_that_hangs_may_be_tried_again(tmp_path):
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\nexec sleep 60\n")
    client.chmod(0o755)
    with pytest.raises(RetryableError, match=r"ps: the engine has not answered for 0.1 s"):
        Engine(str(client))("ps", seconds=0.1)
    with pytest.raises(UserError, match="DOCKER=none-such: no such program"):
        find_engine("none-such")
