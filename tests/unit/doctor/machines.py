"""A machine whose files and answers a test chooses, and helpers to read its report."""

import json
import os
import textwrap

import numpy as np

from trainer.data.formats.idx import pack
from trainer.doctor.examination import run_doctor
from trainer.doctor.probes import Probes
from trainer.platforms.base import Environment

GIB = 1 << 30


CPUINFO = """\
processor : 0
model name : Old Processor
flags : fpu avx2
processor : 1
model name : Old Processor
flags : fpu avx2
"""


H200 = "0, NVIDIA H200, 143771, 143000, 570.86, 9.0"


def room(total=100 * 10**9, left=50 * 10**9, inodes=1000):
    blocks = (total // 4096, left // 4096, left // 4096)
    return os.statvfs_result((4096, 4096, *blocks, inodes, inodes, inodes, 0, 255))


class Machine:
    """A plain machine without GPUs.

    Attributes:
        root: The root of its file system.
        bin: The folder of its programs.
        disks: The size of the file system of a path, where it is not `room()`.
        answers: Fields of `Probes` by name.
    """

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("proc/self", "sys/fs/cgroup", "dev/shm", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 6291456 kB")
        self.write("proc/cpuinfo", CPUINFO)
        self.disks = {}
        self.answers = {"cores": lambda: 2, "look_up": lambda host: []}
        self.answers |= {"gpu_causes": list, "unlinked": lambda: None}
        self.answers["list_store"] = lambda url, flag, among: {"train/a": 1000, "test/b": 234}
        self.answers["check_store"] = lambda url, flag: None

    def write(self, path, text=""):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def program(self, name, script):
        (self.bin / name).write_text(f"#!/bin/sh\n{textwrap.dedent(script)}")
        (self.bin / name).chmod(0o755)

    def look(self, env=(), **flags):
        flags.setdefault("model_dir", str(self.folder / "runs/model"))
        environment = Environment(env={"PATH": str(self.bin), **dict(env)}, root=self.root)
        answers = {"statvfs": lambda path: self.disks.get(str(path), room())} | self.answers
        return run_doctor(environment, flags, probes=Probes(**answers))


def about(report, name):
    """The findings about something."""
    return [f for f in report.findings if f.about == name or f.about.startswith(f"{name} ")]


def problems(report):
    return [line for line in report.lines() if line.startswith("problem ")]


def digits(folder, *, train=70, test=30, kind="npy"):
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("test", test)):
        images = np.zeros((count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        if kind == "npy":
            np.save(folder / f"x_{split}.npy", images)
            np.save(folder / f"y_{split}.npy", labels)
        else:
            (folder / f"{split}-images-idx3-ubyte").write_bytes(pack(images))
            (folder / f"{split}-labels-idx1-ubyte").write_bytes(pack(labels))
    return folder


SAGEMAKER = {"SM_MODEL_DIR": "/opt/ml/model", "SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}


def cluster(*hosts, index=0):
    task = {"type": "worker", "index": index - 1} if index else {"type": "chief", "index": 0}
    chief, *workers = [f"{host}:2222" for host in hosts]
    return {
        "TF_CONFIG": json.dumps({"cluster": {"chief": [chief], "worker": workers}, "task": task})
    }
