import ast
import logging
import threading
from pathlib import Path

import pytest

import trainer
from trainer.runtime import output

SOURCES = sorted(Path(trainer.__file__).parent.rglob("*.py"))
SECRET = "s3cr3t-value-0001"


@pytest.fixture(autouse=True)
def begun():
    output.begin({"SOME_TOKEN": SECRET, "PATH": "/usr/bin"}, ["--hp", "db_password=from-the-flag"])


def test_nothing_is_printed_past_the_one_place():
    past = []
    for path in SOURCES:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        # A field of that name is none.
        used = {
            ast.unparse(node)
            for node in nodes
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
        }
        own = {"print", "sys.stdout.write", "sys.stderr.write", "traceback.print_exc"} & used
        if own and path.name != "output.py":
            past.append(f"{path}: {own}")
    assert past == []


def test_what_the_process_was_given_is_masked_in_each_way_to_print(capsys):
    output.out(f"is {SECRET} here")
    output.err("is from-the-flag here, in /usr/bin")
    output.out_json({"a": [SECRET], "db_password": "x", "b": 1})
    streams = capsys.readouterr()
    assert streams.out.startswith('is *** here\n{\n  "a": [\n    "***"\n  ],\n')
    assert '"db_password": "***"' in streams.out
    assert streams.err == "is *** here, in /usr/bin\n"


def test_what_a_child_is_given_is_masked_as_well():
    assert output.clean("a-new-value-01") == "a-new-value-01"
    output.protect({"API_KEY": "a-new-value-01"})
    assert output.clean(f"a-new-value-01 {SECRET}") == "*** ***"


def test_a_new_beginning_forgets():
    output.begin({})
    assert output.clean(SECRET) == SECRET


def test_a_traceback_shows_where_but_no_secret(capsys):
    try:
        raise RuntimeError(f"refused {SECRET}") from ValueError(SECRET)
    except RuntimeError as error:
        output.err_traceback(error)
    err = capsys.readouterr().err
    assert SECRET not in err
    assert "RuntimeError: refused ***" in err
    assert "test_output.py" in err


def test_a_thread_that_fails_shows_no_secret(capsys):
    thread = threading.Thread(target=lambda: int(SECRET))
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert "ValueError: invalid literal for int() with base 10: '***'" in err


def test_what_libraries_log_shows_no_secret(capsys):
    logger = logging.getLogger("library")
    logger.propagate = False
    logger.warning("retrying %s", SECRET)
    logger.info("quiet")
    assert capsys.readouterr().err == "retrying ***\n"


def test_what_tensorflow_logs_by_its_own_handler_is_masked(caplog):
    output.begin({"DB_PASSWORD": "hunter2-is-secret"})
    logging.getLogger("tensorflow").error("closure failed: %s", "hunter2-is-secret")
    assert caplog.messages == ["closure failed: ***"]
