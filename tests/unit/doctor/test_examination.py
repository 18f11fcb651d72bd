import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from machines import about, cluster, digits, problems, room


def test_a_machine_with_data_is_well(machine):
    data = digits(machine.folder / "data")
    report = machine.look(train=(str(data),))
    assert problems(report) == []
    assert report.ok
    text = "\n".join(report.lines())
    for expected in (
        "ok       platform: local: no variable or file of another platform is there",
        "ok       --batch-size: 64 (recipe cnn)",
        "ok       --precision: float32 (by device)",
        "ok       cluster: one process, chief",
        "ok       gpu: none, training runs on the processor",
        "Old Processor, 2 cores, no bfloat16 instructions; default precision float32",
        "ok       memory: 6.44 GB free of 8.59 GB of the machine",
        "50 GB free",
    ):
        assert expected in text


def test_nothing_is_made_or_left_behind(machine):
    machine.look(train=(str(digits(machine.folder / "data")),))
    assert sorted(p.name for p in machine.folder.iterdir()) == ["bin", "data", "root"]
    assert list((machine.root / "tmp").iterdir()) == []


def test_json_has_the_same_findings(machine):
    report = machine.look(steps=0)
    printed = json.loads(json.dumps(report.as_dict()))
    assert printed["ok"] is report.ok is False
    assert len(printed["findings"]) == len(report.lines())
    for finding, line in zip(printed["findings"], report.lines(), strict=True):
        assert line.startswith(f"{finding['level']:<8} {finding['about']}: {finding['text']}"[:60])
        assert finding["remedy"] is None or line.endswith(finding["remedy"])


def test_what_cannot_be_read_is_a_problem_not_a_crash(machine):
    (machine.root / "proc/meminfo").unlink()
    (machine.root / "proc/cpuinfo").unlink()
    report = machine.look()
    (finding,) = about(report, "memory")
    assert "cannot be examined: FileNotFoundError" in finding.text
    assert about(report, "cpu")[0].level == "ok"


def test_every_problem_has_a_remedy_on_its_line(machine):
    machine.write("sys/fs/cgroup/memory.max", "1000")
    machine.write("dev/nvidia0")
    machine.answers["now"] = lambda: 0.0
    machine.disks[str(machine.folder)] = room(left=0)
    env = cluster("a", "b") | {"SM_NUM_GPUS": "1", "CLUSTER_SPEC": "{"}
    report = machine.look(env, steps=0)
    assert len(problems(report)) >= 6
    for finding in report.findings:
        assert finding.level != "problem" or finding.remedy or ";" in finding.text
        assert "\n" not in finding.line()


SECRET = st.text(min_size=6, max_size=30).map(lambda text: f"Q7z{' '.join(text.split())}Zq7")


@pytest.mark.slow
@given(SECRET)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_secret_is_printed(machine, secret):
    hidden = json.dumps({"api_key": secret, "note": f"<{secret}>"})
    env = {
        "AWS_SECRET_ACCESS_KEY": secret,
        "SM_MODEL_DIR": f"/opt/{secret}",
        "SM_HOSTS": "[]",
        "SM_HPS": hidden,
        "SM_CHANNEL_TRAIN": f"s3://bucket/{secret}",
    }
    whole = machine.look(
        env | {"SM_HP_MODULE": "x"}, module="my.model", log_dir=f"/nowhere/{secret}"
    )
    broken = machine.look({"TF_CONFIG": hidden[:-4], "A_TOKEN": secret}, model_dir=f"/tmp/{secret}")
    for report in (whole, broken):
        values = report.as_dict()
        shown = [
            "\n".join(report.lines()),
            json.dumps(values),
            json.dumps(values, ensure_ascii=False),
        ]
        for text in shown:
            assert secret not in text
            assert json.dumps(secret)[1:-1] not in text


def test_tensorflow_is_not_imported_and_it_starts_fast(tmp_path):
    code = """
import sys, time
start = time.process_time()
from trainer.doctor import run_doctor
from trainer.doctor.dry_run import describe
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
imported = time.process_time() - start
assert "numpy" not in sys.modules
environment = Environment(env={"PATH": "", "TMPDIR": sys.argv[1]})
report = run_doctor(environment, {"model_dir": sys.argv[1]})
describe(resolve_job(environment, {}), commands=())
assert report.lines()
assert not {"tensorflow", "keras"} & set(sys.modules)
print(imported)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 0.5
