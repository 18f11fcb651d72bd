import json
import logging
import re
import subprocess
import sys

import pytest

from trainer.runtime import log, output

TRAINING = logging.getLogger("trainer.training.loop")
LAUNCH = logging.getLogger("trainer.launch.agent")


@pytest.mark.parametrize(
    ("verbosity", "printed"),
    [
        ("DEBUG", ["debug", "info", "warn", "error", "fatal"]),
        ("INFO", ["info", "warn", "error", "fatal"]),
        ("WARN", ["warn", "error", "fatal"]),
        ("ERROR", ["error", "fatal"]),
        ("FATAL", ["fatal"]),
    ],
)
def test_a_level_prints_what_it_names_and_what_is_worse(verbosity, printed, capsys):
    log.begin(verbosity)
    TRAINING.debug("debug")
    TRAINING.info("info")
    TRAINING.warning("warn")
    TRAINING.error("error")
    TRAINING.critical("fatal")
    streams = capsys.readouterr()
    assert [line.split()[-1] for line in (streams.err + streams.out).splitlines()] == printed


def test_a_run_reports_on_standard_output_and_who_supervises_on_standard_error(capsys):
    log.begin()
    TRAINING.info("step=%d test_accuracy=%.4f", 10, 0.5)
    TRAINING.warning("left out: %s", "a.csv")
    LAUNCH.info("host %s is back", "b")
    LAUNCH.warning("slow")
    logging.getLogger("trainer.sagemaker.user_script").warning("no model")
    logging.getLogger("trainer.launch.pip").info("pip installs x")
    logging.getLogger("trainer.sagemaker.script_mode").info("2 files of y laid in z")
    streams = capsys.readouterr()
    assert streams.out == (
        "step=10 test_accuracy=0.5000\nwarning: left out: a.csv\npip installs x\n"
        "2 files of y laid in z\n"
    )
    assert (
        streams.err
        == "trainer: host b is back\ntrainer: warning: slow\ntrainer: warning: no model\n"
    )


def test_a_server_writes_to_standard_error_with_its_name(capsys):
    log.begin(to="err", prefix="trainer: ")
    logging.getLogger("trainer.serving.server").info("serving")
    assert capsys.readouterr().err == "trainer: serving\n"


def test_debug_names_the_module_on_standard_error(capsys):
    log.begin("DEBUG")
    TRAINING.debug("decided")
    assert capsys.readouterr().err == "trainer: debug: training.loop: decided\n"


def test_secrets_are_masked_and_a_traceback_follows(capsys):
    output.begin({"API_TOKEN": "s3cr3t-value-0001"})
    log.begin()
    try:
        raise ValueError("s3cr3t-value-0001")
    except ValueError:
        TRAINING.exception("failed with s3cr3t-value-0001")
    streams = capsys.readouterr()
    assert streams.out == "failed with ***\n"
    assert "Traceback" in streams.err
    assert "s3cr3t" not in streams.err


def test_beginning_twice_prints_once(capsys):
    log.begin()
    log.begin()
    TRAINING.info("once")
    assert capsys.readouterr().out == "once\n"


# In a process of its own: dictConfig closes all handlers, also those of TensorFlow in this one.
DISABLED = """
import logging.config
from trainer.runtime import log
logger = logging.getLogger("trainer.training.loop")
log.begin()
logging.config.dictConfig({"version": 1})
assert logger.disabled
log.enable()
logger.info("step=1")
"""


def test_what_a_users_module_disables_is_enabled_again():
    argv = [sys.executable, "-c", DISABLED]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "step=1\n"


@pytest.mark.parametrize(
    ("level", "severity", "message"),
    [
        (logging.DEBUG, "DEBUG", "trainer: debug: training.loop: step=3"),
        (logging.INFO, "INFO", "step=3"),
        (logging.WARNING, "WARNING", "warning: step=3"),
        (logging.ERROR, "ERROR", "step=3"),
        (logging.CRITICAL, "CRITICAL", "step=3"),
        (logging.INFO + 1, "DEFAULT", "step=3"),
    ],
)
def test_a_line_of_json_has_severity_the_text_time_and_numbers(level, severity, message, capsys):
    log.begin("DEBUG", form="json")
    TRAINING.log(level, "step=%d", 3, extra={"fields": {"step": 3, "message": "x"}})
    streams = capsys.readouterr()
    line = json.loads(streams.out + streams.err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"severity": severity, "message": message, "step": 3}


def test_a_line_of_json_masks_secrets_and_holds_the_traceback(capsys):
    output.begin({"API_TOKEN": 's3cr3t-"value-0001'})
    log.begin(form="json")
    try:
        raise ValueError('s3cr3t-"value-0001')
    except ValueError:
        TRAINING.exception('failed with s3cr3t-"value-0001')
    streams = capsys.readouterr()
    line = json.loads(streams.out)
    assert line["message"] == "failed with ***"
    assert line["stack_trace"].endswith("ValueError: ***\n")
    assert (streams.err, "s3cr3t" in streams.out) == ("", False)


def test_a_failure_is_a_line_in_the_format_of_the_log(capsys):
    log.begin()
    log.failure("trainer: error: no")
    log.begin(form="json")
    log.failure("trainer: error: no")
    text, line = capsys.readouterr().err.splitlines()
    assert text == "trainer: error: no"
    assert (json.loads(line)["severity"], json.loads(line)["message"]) == ("ERROR", text)


def test_a_number_that_is_not_finite_is_valid_json(capsys):
    log.begin(form="json")
    fields = {"loss": float("nan"), "eta": float("-inf"), "step": 1}
    TRAINING.info("loss=nan", extra={"fields": fields})

    def refused(name: str) -> None:
        raise ValueError(name)

    line = json.loads(capsys.readouterr().out, parse_constant=refused)
    assert (line["loss"], line["eta"], line["step"]) == (None, None, 1)


def test_a_traceback_is_a_field_of_the_line_that_says_why(capsys):
    log.begin(form="json")
    log.failure("trainer: failed: no", ValueError("deep"))
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "trainer: failed: no"
    assert line["stack_trace"] == "ValueError: deep\n"
    log.begin()
    log.failure("trainer: failed: no", ValueError("deep"))
    assert capsys.readouterr().err == "ValueError: deep\ntrainer: failed: no\n"


UNCAUGHT = """
from trainer.runtime import log, output
output.begin({"API_TOKEN": "s3cr3t-value-0001"})
log.begin(form="json")
raise ValueError("two\\nlines of s3cr3t-value-0001")
"""


def test_an_error_that_nobody_catches_is_one_line():
    argv = [sys.executable, "-c", UNCAUGHT]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    line = json.loads(ran.stderr)
    assert (line["severity"], line["message"]) == ("ERROR", "ValueError: two lines of ***")
    assert "Traceback" in line["stack_trace"]
    assert "s3cr3t" not in ran.stderr
