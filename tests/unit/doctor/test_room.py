import os
import shutil
import subprocess

import pytest
from machines import GIB, H200, about, cluster, problems, room


@pytest.mark.parametrize(
    ("files", "available", "limit"),
    [
        ({"memory.max": 4 * GIB, "memory.current": 3 * GIB}, GIB, 4 * GIB),
        ({"memory.max": "max", "memory.current": GIB}, 6 * GIB, None),
        (
            {
                "memory.max": 4 * GIB,
                "memory.current": 3 * GIB,
                "memory.stat": f"anon 5\ninactive_file {GIB}\n",
            },
            2 * GIB,
            4 * GIB,
        ),
        (
            {
                "memory/memory.limit_in_bytes": 4 * GIB,
                "memory/memory.usage_in_bytes": 2 * GIB,
                "memory/memory.stat": f"total_inactive_file {GIB}\n",
            },
            3 * GIB,
            4 * GIB,
        ),
        ({"memory/memory.limit_in_bytes": 9223372036854771712}, 6 * GIB, None),
        ({"memory.max": 100 * GIB, "memory.current": GIB}, 6 * GIB, 100 * GIB),
    ],
)
def test_memory_is_that_of_the_container(machine, files, available, limit):
    for name, value in files.items():
        machine.write(f"sys/fs/cgroup/{name}", str(value))
    (finding,) = about(machine.look(), "memory")
    assert (finding.facts["available"], finding.facts["limit"]) == (available, limit)
    assert finding.level == "ok"


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_group_above_counts(machine, version):
    base = "sys/fs/cgroup/memory" if version == 1 else "sys/fs/cgroup"
    name = "memory.limit_in_bytes" if version == 1 else "memory.max"
    line = "4:cpu,memory:/a/b" if version == 1 else "0::/a/b"
    machine.write("proc/self/cgroup", f"9:pids:/x\n{line}\n")
    machine.write(f"{base}/a/{name}", str(2 * GIB))
    (machine.root / base / "a/b").mkdir()
    (finding,) = about(machine.look(), "memory")
    assert finding.facts["limit"] == 2 * GIB


def test_too_little_memory_is_a_problem(machine):
    machine.write("sys/fs/cgroup/memory.max", str(GIB // 2))
    (finding,) = about(machine.look(), "memory")
    assert finding.level == "problem"
    assert "--memory" in finding.remedy


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_small_dev_shm_is_a_problem_of_several_gpus(machine, gpus):
    rows = "\n".join(f"echo '{H200.replace('0,', f'{i},', 1)}'" for i in range(gpus))
    machine.program("nvidia-smi", rows)
    machine.disks[str(machine.root / "dev/shm")] = room(total=64 << 20, left=64 << 20)
    (finding,) = about(machine.look(), "/dev/shm")
    assert finding.level == ("problem" if gpus > 1 else "ok")
    assert (finding.remedy == "docker run --shm-size=1g") == (gpus > 1)


def test_a_small_dev_shm_is_a_problem_of_several_hosts(machine):
    shutil.rmtree(machine.root / "dev/shm")
    machine.answers["statvfs"] = lambda path: os.statvfs(path)
    (finding,) = about(machine.look(cluster("a", "b")), "/dev/shm")
    assert finding.level == "problem"
    assert "between 2 hosts" in finding.text


def test_folders_that_cannot_be_written_are_problems(machine):
    (machine.folder / "file").write_text("")
    below = str(machine.folder / "file" / "x")
    report = machine.look(model_dir=below, log_dir=below, checkpoint_dir=str(machine.folder))
    lines = [line for line in problems(report) if "cannot be written" in line]
    assert [line.split()[1] for line in lines] == ["--model-dir", "--output-dir", "--log-dir"]
    assert all("name another folder" in line for line in lines)
    assert about(report, f"--checkpoint-dir {machine.folder}")[0].facts["writable"]


def test_full_disks_are_problems(machine):
    machine.disks[str(machine.folder)] = room(left=1 << 20)
    machine.disks[str(machine.root / "tmp")] = room(inodes=0)
    assert not any("inode" in line for line in problems(machine.look()))
    machine.disks[str(machine.root / "tmp")] = os.statvfs_result(
        (4096, 4096, 10**9, 10**9, 10**9, 10, 0, 0, 0, 255)
    )
    lines = "\n".join(problems(machine.look()))
    assert "only 1.05 MB free: free some" in lines
    assert "temporary folder" in lines
    assert "no inode is free" in lines


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_is_really_full_is_a_problem(machine):
    full = machine.folder / "full"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)])
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        (full / "fill").write_bytes(b"x" * 65536)
        lines = "\n".join(problems(machine.look(checkpoint_dir=str(full))))
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert "cannot be written: No space left on device" in lines


def test_the_temporary_folder_is_the_one_that_is_set(machine):
    other = machine.folder / "scratch"
    other.mkdir()
    report = machine.look({"TMPDIR": str(other)})
    assert about(report, f"TMPDIR {other}")[0].level == "ok"
