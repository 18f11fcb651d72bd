"""A job in two containers, and others on their network."""

import json
from pathlib import Path

from containers import Container, Engine

ATTACKER = Path(__file__).parent.parent / "integration/attacker.py"
CLUSTER = {"chief": ["aa:2222"], "worker": ["bb:2222"]}
LONG = ("--model", "fast", "--steps", "100000", "--train", "/data", "--model-dir", "/tmp/model")


def options(network: str, data: Path, role: str, name: str | None = None) -> list[str]:
    spec = {"cluster": CLUSTER, "task": {"type": role, "index": 0}}
    env = ["-e", f"TF_CONFIG={json.dumps(spec)}", "-v", f"{data}:/data:ro", "--network", network]
    return [*env, "--hostname", name, "--network-alias", name] if name else env


def test_other_containers_do_not_end_a_running_job(engine: Engine, image: str, tfrecords: Path):
    argv = (*LONG, "--distribution", "horovod")
    with (
        engine.network() as network,
        Container(engine, image, argv, options(network, tfrecords, "chief", "aa")) as chief,
        Container(engine, image, argv, options(network, tfrecords, "worker", "bb")) as worker,
    ):
        chief.until("step=100 ")
        attack = ["--network", network, "--entrypoint", "python3", "-v", f"{ATTACKER}:/x.py:ro"]
        again = options(network, tfrecords, "worker")
        other = (*argv, "--seed", "5")
        with (
            Container(engine, image, ("/x.py", "aa", "7117", "300", "6"), attack) as stranger,
            Container(engine, image, argv, again) as second,
            Container(engine, image, other, again) as different,
        ):
            assert stranger.wait() == 0, stranger.text
            for newcomer, told in ((second, "has joined already"), (different, "--seed: 5 on")):
                assert newcomer.wait() == 2, newcomer.text
                assert told in newcomer.lines[-1], newcomer.text
                assert ": refused by the chief at aa:7117: " in newcomer.lines[-1]
        assert not (chief.ended or worker.ended), chief.text + worker.text
        chief.stop()
        assert [chief.wait(), worker.wait()] == [143, 143], chief.text + worker.text
