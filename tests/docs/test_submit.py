"""The documentation's requests are printed as it says, with no credentials and no network."""

import shlex

import pytest
from blocks import blocks
from processes import trainer

# Those that name files of the reader's machine cannot run here.
OWN_FILES = (" data/", " my/")


def printed(command: str) -> list[str]:
    """Return the arguments of a command that prints what it would send."""
    # A shell may write it to a file.
    argv = shlex.split(command.partition(" > ")[0])[1:]
    at = argv.index("--") if "--" in argv else len(argv)
    return argv if "--print" in argv else [*argv[:at], "--print", *argv[at:]]


PRINTED = [
    pytest.param(printed(command), id=f"{block} {command[:60]}")
    for block in blocks("sh")
    for command in block.commands
    if command.startswith("trainer submit ") and not any(part in command for part in OWN_FILES)
]


@pytest.mark.slow
@pytest.mark.parametrize("argv", PRINTED)
def test_a_request_of_the_documentation_is_printed(argv, tmp_path):
    nothing = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    nothing |= dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
    ran = trainer(*argv, env=nothing)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
