import threading

import pytest
from machines import SAGEMAKER, about, cluster, digits, problems

from trainer.config.hparams import Hparams
from trainer.config.job import Job


def test_a_broken_tf_config_is_one_problem_and_the_rest_is_there(machine):
    data = digits(machine.folder / "data")
    report = machine.look({"TF_CONFIG": '{"cluster'}, train=(str(data),), batch_size=8)
    (line,) = problems(report)
    assert line.startswith("problem  TF_CONFIG: ")
    text = "\n".join(report.lines())
    assert "platform: ai-platform: TF_CONFIG is set" in text
    assert "cluster: not known" in text
    assert "--batch-size: 8 (--batch-size)" in text
    assert "70 examples" in text


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"SM_CURRENT_HOST": "algo-9"}, "SM_CURRENT_HOST=algo-9"),
        ({"SM_HOSTS": "algo-1"}, "SM_HOSTS"),
        ({"SM_HPS": '{"epochz": "1"}'}, "hyperparameter epochz: is not known"),
        ({"SM_HPS": '{"steps": "many"}'}, "hyperparameter steps"),
        ({"SM_HPS": "{"}, "SM_HPS"),
    ],
)
def test_each_mistake_on_sagemaker_is_one_problem_and_the_rest_is_there(machine, more, expected):
    data = digits(machine.folder / "data")
    env = SAGEMAKER | {"SM_CHANNEL_TRAIN": str(data)} | more
    report = machine.look(env, output_dir=str(machine.folder))
    (line,) = problems(report)
    assert expected in line
    assert about(report, "memory")
    if "SM_HPS" not in expected:
        assert "70 examples" in "\n".join(report.lines())


def test_several_wrong_flags_are_reported_one_by_one(machine):
    report = machine.look(steps=0, batch_size=-1, dropout=0.25)
    lines = problems(report)
    assert [any(name in line for line in lines) for name in ("--steps 0", "--batch-size -1")]
    assert len(lines) == 2
    assert "--dropout: 0.25 (--dropout)" in "\n".join(report.lines())


def test_an_empty_channel_is_not_taken_for_no_data(machine):
    (machine.folder / "empty").mkdir()
    report = machine.look(SAGEMAKER | {"SM_CHANNEL_TRAIN": str(machine.folder / "empty")})
    assert "the channel is empty" in problems(report)[0]
    assert "synthetic" not in "\n".join(report.lines())


def test_role_rank_and_hosts(machine):
    asked = []
    machine.answers["look_up"] = asked.append
    report = machine.look(cluster("a", "b", "c", index=2))
    (finding,) = about(report, "cluster")
    assert finding.text == "worker 1 of (1 chief, 2 worker), rank 2 of 3"
    assert sorted(asked) == ["a", "b", "c"]
    assert about(report, "hosts")[0].text == "all 3 names resolve"


def test_names_that_do_not_resolve_or_not_in_time_are_one_problem(machine):
    over = threading.Event()

    def look_up(host):
        if host == "slow":
            over.wait()
        if host == "gone":
            raise OSError(-2, "Name or service not known")

    machine.answers |= {"look_up": look_up, "host_seconds": 0.3}
    report = machine.look(cluster("here", "gone", "slow"))
    over.set()
    (finding,) = about(report, "hosts")
    assert finding.level == "problem"
    assert finding.facts["missing"] == ["gone", "slow"]
    assert "2 of 3 names do not resolve: gone, slow" in finding.text


def test_hosts_are_read_from_addresses():
    from trainer.doctor.setup import host_of

    addresses = ["a", "a:1", "[::1]:2222", "::1", "10.0.0.1:80"]
    assert [host_of(a) for a in addresses] == ["a", "a", "::1", "::1", "10.0.0.1"]


def test_the_important_fields_are_fields():
    from trainer.doctor.setup import IMPORTANT

    assert set(Job.__dataclass_fields__) | set(Hparams.__dataclass_fields__) >= IMPORTANT
