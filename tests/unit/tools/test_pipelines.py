"""The clouds' own pipelines: each of their commands is a target of the Makefile."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


def codebuild() -> list[list[str]]:
    """The commands of all phases, in their order."""
    spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    phases = [spec["phases"][name] for name in ("install", "pre_build", "build")]
    assert len(phases) == len(spec["phases"])
    return [command.split() for phase in phases for command in phase["commands"]]


def cloudbuild() -> list[list[str]]:
    """The commands of all steps, one for each of their targets."""
    spec = yaml.safe_load((ROOT / "docker/cloudbuild.yaml").read_text())
    goals = []
    for step in spec["steps"]:
        assert set(step) <= {"id", "name", "entrypoint", "args"}
        variables = [word for word in step["args"] if "=" in word]
        goals += [[step["entrypoint"], w, *variables] for w in step["args"] if "=" not in w]
    return goals


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """The targets of the Makefile that are commands, with a rule each."""
    database = subprocess.run(
        ["make", "--question", "--print-data-base", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    (phony,) = re.findall(r"^\.PHONY: (.+)$", database, re.MULTILINE)
    # What others only ask for, as .PHONY does, has neither prerequisites nor a recipe.
    rule = r"^{}:(?: \S|.*\n(?:#.*\n)*\t)"
    return {t for t in phony.split() if re.search(rule.format(t), database, re.MULTILINE)}


@pytest.mark.parametrize("pipeline", [codebuild, cloudbuild])
def test_every_command_is_a_target_of_the_makefile(pipeline, targets):
    for program, *words in pipeline():
        assert program == "make"
        (target,) = (word for word in words if "=" not in word)
        assert target in targets


@pytest.mark.parametrize("pipeline", [codebuild, cloudbuild])
def test_nothing_is_pushed_before_everything_is_tested(pipeline):
    targets = [next(word for word in command[1:] if "=" not in word) for command in pipeline()]
    (push,) = (target for target in targets if target.startswith("push-"))
    assert targets[-1] == push
    assert {"lint", "test-unit", "image", "image-gpu", "sbom"} < set(targets[:-1])


def test_what_codebuild_pushes_has_passed_the_container_tests():
    assert ["make", "test-container"] in codebuild()


@pytest.mark.parametrize("pipeline", [codebuild, cloudbuild])
def test_the_data_of_the_tests_is_there_before_them(pipeline):
    """A service has no ../shared, and in CI tests without their data fail."""
    commands = pipeline()
    targets = [next(word for word in command[1:] if "=" not in word) for command in commands]
    assert targets.index("data") < targets.index("test-unit")
    spec = yaml.safe_load((ROOT / "buildspec.yml").read_text())
    variables = [f"{k}={v}" for k, v in spec["env"]["variables"].items()]
    told = variables if pipeline is codebuild else commands[targets.index("test-unit")]
    assert "MNIST_DIR=data/mnist" in told


@pytest.mark.parametrize("pipeline", [codebuild, cloudbuild])
def test_images_are_of_a_commit(pipeline):
    """The services unpack the sources without their history; what no commit has is not pushed."""
    known = {"REVISION=$CODEBUILD_RESOLVED_SOURCE_VERSION", "REVISION=$COMMIT_SHA"}
    built = [command for command in pipeline() if {"image", "image-gpu"} & set(command)]
    assert len(built) == 2
    assert all(known & set(command) for command in built)
