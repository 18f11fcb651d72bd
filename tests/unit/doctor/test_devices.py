import pathlib

import pytest
from machines import CPUINFO, H200, about, problems

from trainer.runtime.cuda import Cause


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "150000 100000"},
        {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_a_quota_of_processor_time_is_noted(machine, files):
    for name, value in files.items():
        machine.write(f"sys/fs/cgroup/{name}", value)
    machine.answers["cores"] = lambda: 8
    (finding,) = about(machine.look(), "cpu")
    assert finding.facts["quota"] == 1.5
    assert finding.level == "note"
    assert "--threads 2" in finding.remedy
    (finding,) = about(machine.look(threads=2), "cpu")
    assert finding.level == "ok"


@pytest.mark.parametrize("quota", ["max 100000", "-1"])
def test_no_quota_is_none(machine, quota):
    machine.write("sys/fs/cgroup/cpu.max", quota)
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert about(machine.look(), "cpu")[0].facts["quota"] is None


@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16"])
def test_a_processor_with_bfloat16_computes_in_it(machine, flag):
    machine.write("proc/cpuinfo", CPUINFO.replace("avx2", f"avx2 {flag}"))
    report = machine.look()
    assert "ok       --precision: bfloat16 (by device)" in report.lines()
    assert flag in about(report, "cpu")[0].facts["flags"]


def test_gpus_are_reported_as_nvidia_smi_does(machine):
    machine.program("nvidia-smi", f"echo '{H200}'\necho '{H200.replace('0,', '1,', 1)}'")
    machine.write("dev/nvidia0")
    machine.write("usr/lib64/libcuda.so.1")
    report = machine.look()
    first, second = about(report, "gpu 0") + about(report, "gpu 1")
    assert "NVIDIA H200, 143000 of 143771 MiB free, driver 570.86" in first.text
    assert second.facts["compute_cap"] == "9.0"
    assert "ok       --precision: bfloat16 (by device)" in report.lines()


@pytest.mark.parametrize(
    ("capability", "precision"), [("8.0", "bfloat16"), ("7.5", "float16"), ("6.1", "float32")]
)
def test_the_precision_is_that_of_the_gpu(machine, capability, precision):
    machine.program("nvidia-smi", f"echo '{H200.replace('9.0', capability)}'")
    assert f"ok       --precision: {precision} (by device)" in machine.look().lines()


def test_an_old_driver_is_asked_for_less(machine):
    machine.program(
        "nvidia-smi",
        """\
        case "$1" in
          *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
          *) echo '0, Tesla V100, 16160, 16000, 450.80';;
        esac
        """,
    )
    (finding,) = about(machine.look(), "gpu 0")
    assert finding.text == "Tesla V100, 16000 of 16160 MiB free, driver 450.80"


def test_a_driver_that_fails_or_hangs_is_a_problem(machine):
    machine.program("nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    assert "nvidia-smi failed: Driver/library version mismatch" in "\n".join(
        problems(machine.look())
    )
    machine.program("nvidia-smi", "exec /bin/sleep 20")
    machine.answers["driver_seconds"] = 0.2
    assert "no answer within 0.2 seconds" in "\n".join(problems(machine.look()))


def test_the_ways_to_have_no_gpu(machine):
    no_gpu = machine.look({"SM_NUM_GPUS": "4"})
    assert "SM_NUM_GPUS=4, but none is here" in about(no_gpu, "gpu")[0].text
    image = {"NVIDIA_VISIBLE_DEVICES": "all", "TRAINER_BUILT_FOR": "gpu"}
    made_for = machine.look(image)
    assert about(made_for, "gpu")[0].level == "note"
    assert "--gpus all" in about(made_for, "gpu")[0].remedy
    (asked,) = about(machine.look(device="gpu"), "gpu")
    assert (asked.level, asked.text) == ("problem", "none, but --device gpu asks for one")
    assert about(machine.look(image, device="cpu"), "gpu")[0].level == "ok"


@pytest.mark.parametrize("sign", ["file", "variable", "nvidia-smi"])
def test_what_keeps_tensorflow_from_a_gpu_is_a_problem_each(machine, sign):
    env = {"NVIDIA_VISIBLE_DEVICES": "0"} if sign == "variable" else {}
    if sign == "file":
        machine.write("dev/nvidia3")
    if sign == "nvidia-smi":
        machine.program("nvidia-smi", f"echo '{H200}'")
    causes = [Cause(text=f"library {name} is not found", remedy="install it") for name in "xy"]
    machine.answers["gpu_causes"] = lambda: causes
    found = [f for f in about(machine.look(env), "gpu") if f.about == "gpu"]
    assert [(f.level, f.text, f.remedy) for f in found] == [
        ("problem", f"library {name} is not found", "install it; or --device cpu") for name in "xy"
    ]
    unused = [f for f in about(machine.look(env, device="cpu"), "gpu") if f.about == "gpu"]
    assert [(f.level, f.text) for f in unused] == [("ok", "not used, as --device cpu says")]
    *_, hidden = about(machine.look({**env, "CUDA_VISIBLE_DEVICES": "-1"}), "gpu")
    assert (hidden.level, "hides it" in hidden.text) == ("note", True)


def test_a_gpu_that_can_be_used_is_reported_and_what_only_the_trainer_finds(machine):
    machine.write("dev/nvidia3")
    (finding,) = about(machine.look(), "gpu")
    assert (finding.level, finding.facts["device"]) == ("ok", True)
    assert finding.text.startswith("/dev/nvidia3; the driver and all libraries load")
    machine.answers["unlinked"] = lambda: pathlib.Path("/env/nvidia/cusolver/lib")
    note = about(machine.look(), "gpu")[-1]
    assert note.level == "note"
    assert "ln -s /env/nvidia/cusolver/lib/libcusolver.so.11 /env/nvidia/cublas/lib" in note.remedy


def test_a_gpu_that_is_not_to_be_used_does_not_choose_the_precision(machine):
    machine.program("nvidia-smi", f"echo '{H200}'")
    assert "ok       --precision: float32 (by device)" in machine.look(device="cpu").lines()
