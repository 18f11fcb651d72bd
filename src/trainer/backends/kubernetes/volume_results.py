"""Results of a job on a volume of the cluster, brought here through a pod that mounts it."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from trainer.backends.idle import IDLE, CountingReader, killed_when_idle
from trainer.backends.kubernetes.kubectl import Kubectl, error_of
from trainer.backends.kubernetes.status import problem_of
from trainer.config import RetryableError, UserError
from trainer.platforms import MANAGED_BY_LABEL
from trainer.storage import move_file, unfinished

logger = logging.getLogger(__name__)

# Seconds that the pod has to start, and after which it ends by itself.
START, LIFE = 60, 3600
# The pod that reads takes these fields from the job's pods, so that it starts where they could.
_POD = ("imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "volumes")
_CONTAINER = ("image", "imagePullPolicy", "volumeMounts", "securityContext")


def fetch_from_volume(
    kubectl: Kubectl, name: str, pod: Mapping[str, Any], output: str, folder: Path
) -> int:
    """Bring the files of a folder of a volume here; those that are here in full size stay.

    Args:
        kubectl: Reaches the cluster.
        name: The job.
        pod: The spec of its pods.
        output: The folder, as the pods see it.
        folder: Where the files go.

    Returns:
        How many files were brought.

    Raises:
        UserError: The pod does not start, or there is no such folder.
        RetryableError: The cluster does not answer.
    """
    with _reader(kubectl, name, pod) as reader:
        listed = kubectl.run(
            "exec", reader, "--", "find", output, "-type", "f", "-printf", r"%s %P\0", subject=name
        )
        sizes = {}
        for entry in filter(None, listed.split("\0")):
            size, _, path = entry.partition(" ")
            sizes[path] = int(size)
        missing = [path for path, size in sizes.items() if not _is_here(folder / path, size)]
        if missing:
            _copy(kubectl, reader, output, missing, folder, subject=name)
    return len(missing)


@contextlib.contextmanager
def _reader(kubectl: Kubectl, name: str, pod: Mapping[str, Any]) -> Iterator[str]:
    """Start a pod that mounts the job's volumes, and remove it at the end."""
    container = {
        key: pod["containers"][0][key] for key in _CONTAINER if key in pod["containers"][0]
    }
    container |= {"name": "fetch", "command": ["sleep", str(LIFE)]}
    spec = {key: pod[key] for key in _POD if key in pod}
    spec |= {"containers": [container], "restartPolicy": "Never", "activeDeadlineSeconds": LIFE}
    spec |= {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    reader = f"{name}-fetch"
    labels = {MANAGED_BY_LABEL: "trainer"}
    manifest = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": reader, "labels": labels},
        "spec": spec,
    }  # fmt: skip
    kubectl.create(json.dumps(manifest), subject=name)
    try:
        logger.info("%s: the results are on a volume; pod %s reads them", name, reader)
        try:
            kubectl.run("wait", f"pod/{reader}", "--for=condition=Ready", f"--timeout={START}s")
        except UserError as error:
            why = problem_of(kubectl.get(f"pod/{reader}", subject=name))
            raise UserError(
                subject=name,
                problem=f"a pod that reads the volume does not start in {START} s",
                remedy=why or "if it is ReadWriteOnce, wait until the job's pods have ended",
            ) from error
        yield reader
    finally:
        kubectl.run("delete", f"pod/{reader}", "--ignore-not-found", "--wait=false")


def _copy(
    kubectl: Kubectl, reader: str, output: str, paths: list[str], folder: Path, *, subject: str
) -> None:
    """Copy files as one stream; each of them appears whole, or not at all."""
    command = kubectl.command("exec", "-i", reader, "--", "tar", "-C", output)
    wanted = {*paths}
    # In files, as a full pipe would stop the program that is to be read from.
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as errors:
        names.write("\0".join(paths).encode())
        names.seek(0)
        process = subprocess.Popen(
            [*command, "--null", "--files-from=-", "-cf", "-"],
            stdin=names, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        assert process.stdout is not None
        stream = CountingReader(process.stdout)
        with (
            process.stdout,
            killed_when_idle(process, lambda: stream.count) as was_idle,
            contextlib.suppress(tarfile.TarError),
        ):
            _unpack(stream, wanted, folder)
        if was_idle():
            raise RetryableError(f"{subject}: the cluster sent nothing for {IDLE:.0f} s")
        if wanted:
            errors.seek(0)
            raise error_of(errors.read().decode(errors="replace"), subject=subject)


def _unpack(stream: CountingReader, wanted: set[str], folder: Path) -> None:
    """Write the files of an archive that are wanted, and take each from the set."""
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
        for member in archive:
            # The archive comes from the cluster: nothing but what was asked for counts.
            if member.isfile() and member.name in wanted and _is_inside(member.name):
                _write(archive, member, folder / member.name)
                wanted.discard(member.name)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(member)
    assert source is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    part = unfinished.name_for(path)
    try:
        with part.open("wb") as file:
            shutil.copyfileobj(source, file)
        move_file(part, path)
    finally:
        part.unlink(missing_ok=True)


def _is_here(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
