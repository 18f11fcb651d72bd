"""The origin of a run, from its platform, flags and recipe."""

import dataclasses
import shlex

from trainer.models import recipes
from trainer.platforms import Environment, resolve_job
from trainer.training.run_origin import RunOrigin

FLAGS = {"train": ("data/a b",), "learning_rate": 0.1, "autotune": False}


def origin(env=None, **flags) -> RunOrigin:
    return RunOrigin.of(resolve_job(Environment(env=env or {}), {**FLAGS, **flags}))


def test_the_command_has_what_was_given_and_nothing_else():
    assert shlex.join(origin().command) == (
        "trainer train --learning-rate 0.1 --train 'data/a b' --no-autotune"
    )


def test_what_a_platform_gives_is_a_flag_of_the_command():
    found = origin({"AIP_CHECKPOINT_DIR": "gs://bucket/checkpoints/"})
    assert "--checkpoint-dir gs://bucket/checkpoints" in shlex.join(found.command)
    assert found.platform == "ai-platform"
    assert found.job["checkpoint_dir"] == {
        "value": "gs://bucket/checkpoints",
        "from": "AIP_CHECKPOINT_DIR",
    }


def test_settings_have_the_values_that_the_run_had():
    found = origin()
    settings = found.as_json(recipes.complete(found.asked, precision="bfloat16"))["job"]
    assert settings["precision"]["value"] == "bfloat16"
    assert settings["learning_rate"] == {"value": 0.1, "from": "--learning-rate"}
    assert settings["batch_size"]["from"].startswith("recipe")


def test_a_run_that_takes_the_settings_of_a_checkpoint_is_repeated_by_these():
    found = origin(seed=4)
    job = recipes.complete(found.asked, precision="float32")
    hparams = dataclasses.replace(job.hparams, learning_rate=0.2, hp=(("width", "8"),))
    written = found.as_json(dataclasses.replace(job, module="own", hparams=hparams))
    assert written["job"]["learning_rate"] == {"value": 0.2, "from": "the checkpoint"}
    assert written["job"]["module"] == {"value": "own", "from": "the checkpoint"}
    assert written["job"]["seed"] == {"value": 4, "from": "--seed"}
    assert shlex.join(written["command"]) == (
        "trainer train --hp width=8 --learning-rate 0.2 --seed 4 --module own --train 'data/a b' "
        "--no-autotune"
    )


def test_the_secret_of_a_job_is_not_among_them():
    assert "secret" not in origin({"TRAINER_SECRET": "hunter2hunter2hunter2"}).job
