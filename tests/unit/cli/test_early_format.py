import pytest

from trainer.cli.early_format import log_format


@pytest.mark.parametrize(
    ("argv", "env", "form"),
    [
        (["train"], {}, "text"),
        (["train", "--log-format", "json"], {}, "json"),
        (["train", "--log-format=json", "--log_format=text"], {}, "text"),
        (["train", "--log-format", "xml"], {}, "text"),
        (["train"], {"CLOUD_ML_JOB_ID": "1"}, "json"),
        (["train", "--log-format=text"], {"CLOUD_ML_PROJECT_ID": "p"}, "text"),
        (["train"], {"CLOUD_ML_TRIAL_ID": "1"}, "text"),
        (["serve"], {"CLOUD_ML_JOB_ID": "1"}, "text"),
        (["serve", "--log-format=json"], {}, "json"),
        (["doctor"], {"CLOUD_ML_JOB_ID": "1"}, "text"),
        ([], {}, "text"),
    ],
)
def test_the_format_is_known_before_flags_are_parsed(argv, env, form):
    assert log_format(argv, env) == form


@pytest.mark.parametrize("env", [{}, {"CLOUD_ML_PROJECT_ID": "p"}])
def test_a_container_without_arguments_has_the_format_of_its_platform(env):
    assert log_format([], env, verb="train") == ("json" if env else "text")


def test_a_flag_without_a_value_is_left_to_the_parser():
    assert log_format(["train", "--log-format"], {}) == "text"
