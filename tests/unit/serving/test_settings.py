import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from trainer.cli import command_line
from trainer.config.errors import UserError
from trainer.config.flags import add_flags
from trainer.config.parser import Parser
from trainer.serving.protocols.sagemaker import SageMakerEndpoints
from trainer.serving.settings import Settings, from_flags


def settings_from(*argv: str, env=None, tmp="/nowhere") -> Settings:
    parser = Parser(prog="trainer serve", allow_abbrev=False)
    add_flags(parser, Settings)
    from pathlib import Path

    return from_flags(vars(parser.parse_args(argv)), env=env or {}, sagemaker_dir=Path(tmp))


def test_without_anything_the_defaults_hold():
    assert settings_from() == Settings()
    assert (settings_from().port, settings_from().model_dir, settings_from().model_name) == (
        8080,
        "model",
        "model",
    )


def test_sagemakers_folder_is_served_where_it_is(tmp_path):
    assert settings_from(tmp=tmp_path).model_dir == str(tmp_path)
    assert settings_from("--model-dir", "m", tmp=tmp_path).model_dir == "m"


def test_vertex_says_where_the_model_is_and_what_the_routes_are():
    env = {
        "AIP_HTTP_PORT": "9000",
        "AIP_STORAGE_URI": "gs://bucket/model",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
    }
    found = settings_from(env=env)
    assert (found.port, found.model_dir) == (9000, "gs://bucket/model")
    assert found.health_route == env["AIP_HEALTH_ROUTE"]
    assert found.predict_route == env["AIP_PREDICT_ROUTE"]
    assert settings_from(env=env | {"AIP_STORAGE_URI": ""}).model_dir == "model"


def test_sagemaker_says_port_payload_and_batch_transform():
    env = {
        "SAGEMAKER_BIND_TO_PORT": "8081",
        "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "SingleRecord",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
        "SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "digits",
    }
    found = settings_from(env=env)
    assert (found.port, found.max_payload, found.timeout) == (8081, 6 * 2**20, 3600)
    assert (found.batch_strategy, found.max_concurrent) == ("SINGLE_RECORD", 3)
    assert found.model_name == "digits"
    assert settings_from(env={"SAGEMAKER_TFS_DEFAULT_MODEL_NAME": "None"}).model_name == "model"


def test_batch_transform_says_itself_how_many_requests_come():
    env = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1000"}
    assert settings_from(env=env).max_queue == 1000
    assert settings_from(env=env | {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "90"}).timeout == 90
    assert settings_from(env=env | {"SAGEMAKER_BATCH": "false"}).max_queue == Settings().max_queue


def test_no_number_of_requests_in_batch_transform_is_left_to_the_server():
    env = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"}
    assert settings_from(env=env) == settings_from(env={"SAGEMAKER_BATCH": "true"})


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, (16, 6)),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, (2, 6)),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"}, (16, 6)),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "200"}, (200, 1)),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0.5"}, (16, 1)),
    ],
)
def test_batch_transform_is_never_told_that_there_is_no_limit(env, expected):
    unused: Any = None
    made = SageMakerEndpoints(
        settings=settings_from(env=env), store=unused, predictor=unused, state=unused,
        missing=lambda: None, handlers=unused,
    )  # fmt: skip
    found = json.loads(asyncio.run(made.execution_parameters(unused)).body)
    assert (found["MaxConcurrentTransforms"], found["MaxPayloadInMB"]) == expected


def test_no_limit_in_batch_transform_is_the_largest_there_is():
    assert settings_from(env={"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_payload_mb == 2048


def test_batching_is_told_in_the_words_of_sagemakers_container():
    env = {
        "SAGEMAKER_TFS_MAX_BATCH_SIZE": "8",
        "SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "1500",
        "SAGEMAKER_TFS_NUM_BATCH_THREADS": "2",
        "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "4",
    }
    found = settings_from(env=env)
    assert (found.max_batch, found.batch_wait_ms, found.batch_threads) == (8, 1.5, 2)
    assert found.max_queue == 32
    # These alone ask for nothing: SageMaker's container batches only where that is enabled.
    assert found.may_batch is None


@pytest.mark.parametrize(
    ("argv", "env", "expected"),
    [
        ((), {}, None),
        (("--batching",), {}, True),
        (("--no-batching",), {}, False),
        (("--batching", "--max-batch", "1"), {}, False),
        ((), {"SAGEMAKER_TFS_ENABLE_BATCHING": "true"}, True),
        ((), {"SAGEMAKER_TFS_ENABLE_BATCHING": "False"}, False),
        (("--no-batching",), {"SAGEMAKER_TFS_ENABLE_BATCHING": "true"}, False),
    ],
)
def test_batching_is_asked_for_by_flag_or_variable(argv, env, expected):
    found = settings_from(*argv, env=env)
    assert found.may_batch is expected
    assert found.max_queue == Settings().max_queue


def test_a_flag_wins_over_a_variable():
    assert settings_from("--port", "1234", env={"AIP_HTTP_PORT": "9000"}).port == 1234


@pytest.mark.parametrize(
    ("argv", "env", "message"),
    [
        (["--port", "70000"], {}, "--port 70000: expected a number of 0 to 65535"),
        (["--timeout", "0"], {}, "--timeout 0.0: expected a number above 0 to 3600"),
        ([], {"AIP_HTTP_PORT": "http"}, "AIP_HTTP_PORT http: expected a whole number"),
        ([], {"AIP_HTTP_PORT": "-1"}, "AIP_HTTP_PORT -1: expected a number of 0 to 65535"),
        ([], {"SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS": "x"}, "MICROS x: expected a number"),
        ([], {"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "-1"}, "-1: expected a number of 0 or more"),
        ([], {"SAGEMAKER_TFS_ENABLE_BATCHING": "yes"}, "BATCHING yes: expected true or false"),
        ([], {"SAGEMAKER_BATCH_STRATEGY": "ALL"}, "expected MULTI_RECORD or SINGLE_RECORD"),
        ([], {"AIP_PREDICT_ROUTE": "predict"}, "AIP_PREDICT_ROUTE predict: expected a path"),
    ],
)
def test_a_mistake_names_the_flag_or_variable(argv, env, message):
    with pytest.raises(UserError, match=message):
        settings_from(*argv, env=env)


def test_the_command_line_tells_of_a_missing_folder_before_anything_is_imported(tmp_path):
    code = (
        "import sys\nfrom trainer import cli\n"
        "code = cli.main(['serve', '--model-dir', 'nowhere', '--port', '0'])\n"
        "print(code, 'tensorflow' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        check=True,
    )  # fmt: skip
    assert ran.stdout.split() == ["2", "False"]
    assert ran.stderr == "trainer: error: --model-dir nowhere: no such folder\n"


def test_a_folder_without_a_model_is_a_mistake(capsys, tmp_path):
    assert command_line.main(["serve", "--model-dir", str(tmp_path), "--port", "0"]) == 2
    assert "no SavedModel there; expected" in capsys.readouterr().err


def test_a_port_that_is_taken_is_a_mistake(capsys, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = ["serve", "--model-dir", str(tmp_path), "--host", "127.0.0.1", "--port", port]
        assert command_line.main(argv) == 2
    assert f"--port {port}: cannot listen at 127.0.0.1" in capsys.readouterr().err
