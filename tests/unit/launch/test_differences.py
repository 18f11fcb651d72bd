import pytest

from trainer.launch.differences import common_precision, difference
from trainer.launch.host_settings import HostSettings, StatedValue, public_value

VERSIONS = {"trainer": "1.0", "TensorFlow": "2.21.0", "Python": "3.11"}


def host(name, *, precision=None, problem=None, **values):
    stated = {f"--{key.replace('_', '-')}": value for key, value in values.items()}
    return HostSettings(
        host=name,
        values={k: v and public_value(v) for k, v in (VERSIONS | stated).items()},
        precision=precision,
        problem=problem,
    )


def test_hosts_that_say_the_same_differ_in_nothing():
    assert difference([host("a", seed=1), host("b", seed=1.0), host("c", seed=1)]) is None


def test_what_fewer_hosts_have_is_named_first():
    hosts = [host("a", seed=1), *(host(name, seed=2) for name in "bcde")]
    assert difference(hosts) == (
        "--seed: 1 on host a, 2 on hosts b and c and 2 more; set the same on all hosts"
    )


def test_where_many_settings_differ_the_first_are_named():
    names = [f"flag_{i}" for i in range(8)]
    one, two = (host(h, **dict.fromkeys(names, value)) for h, value in (("a", 1), ("b", 2)))
    reason = difference([one, two])
    assert reason is not None
    assert reason.count(" on host a") == 5
    assert reason.endswith("; and 3 more; set the same on all hosts")


def test_what_a_host_has_no_use_for_is_not_compared():
    assert difference([host("a", train="x"), host("b", train=None)]) is None


def test_another_version_is_told_alone_as_it_may_have_other_defaults():
    other = host("b", seed=2)
    other = HostSettings(host="b", values={**other.values, "trainer": public_value("0.9")})
    assert difference([host("a", seed=1), other]) == (
        "trainer: 0.9 on host b, 1.0 on host a; use the same image on all hosts"
    )


@pytest.mark.parametrize("swap", [False, True])
def test_a_trainer_that_has_other_fields_is_of_another_version(swap):
    hosts = [host("a", seed=1), host("b", seed=2, new_flag=3)]
    reason = difference(hosts[::-1] if swap else hosts)
    assert reason == (
        "trainer: only that on host b knows --new-flag, that on host a is of another version; "
        "use the same image on all hosts"
    )


def test_another_tensorflow_is_told_with_what_to_do():
    other = host("b")
    other = HostSettings(host="b", values={**other.values, "TensorFlow": public_value("2.20.0")})
    assert difference([host("a"), other]) == (
        "TensorFlow: 2.20.0 on host b, 2.21.0 on host a; use the same image on all hosts"
    )


def test_of_data_the_first_file_that_differs_is_named():
    one, two = (
        HostSettings(
            host=name, values={"--train": StatedValue(text=text, digest=text, parts=parts)}
        )
        for name, text, parts in (
            ("a", "2 files, 9 bytes", (("x", "4"), ("y", "5"))),
            ("b", "1 file, 4 bytes", (("x", "4"),)),
        )
    )
    assert difference([one, two]) == (
        "--train: 1 file, 4 bytes on host b, 2 files, 9 bytes on host a, the first that differs is "
        "y; give all hosts the same data, or set --shard-by host if each holds a part of it"
    )


def test_what_keeps_one_host_from_starting_is_told_before_what_differs():
    hosts = [host("a", seed=1), host("b", seed=2, problem="--train /x: does not exist")]
    assert difference(hosts) == "--train /x: does not exist"


def test_hosts_with_other_processors_compute_with_what_both_have():
    hosts = [host("a", precision="bfloat16"), host("b", precision="float32"), host("c")]
    assert common_precision(hosts) == (
        "float32",
        "precision float32 on all hosts, as the fastest is bfloat16 on host a and float32 on host "
        "b; --precision sets another",
    )
    assert difference(hosts) is None


def test_hosts_that_are_alike_compute_with_what_is_fastest_there():
    assert common_precision([host("a", precision="float16"), host("b", precision="float16")]) == (
        "float16",
        None,
    )


def test_where_it_is_given_or_not_known_nothing_is_agreed_on():
    given = [host("a", precision=None, precision_=None)]
    assert common_precision(given) == (None, None)
    said = HostSettings(host="a", values={"--precision": public_value("bfloat16")})
    assert common_precision([said, host("b", precision="float32")]) == (None, None)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("float32", "--precision: not given (the device's is float32) on host b, bfloat16 on host"),
        ("bfloat16", None),
    ],
)
def test_a_precision_that_one_host_is_given_has_to_be_what_the_other_takes(device, reason):
    one = host("a")
    one = HostSettings(host="a", values={**one.values, "--precision": public_value("bfloat16")})
    two = host("b", precision=device)
    two = HostSettings(host="b", values={**two.values, "--precision": None}, precision=device)
    found = difference([one, two])
    assert (found or "").startswith(reason) if reason else found is None
