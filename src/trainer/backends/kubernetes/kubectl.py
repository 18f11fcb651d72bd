"""Calls of kubectl, whose settings and sign-in reach any cluster, and its errors in one line."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from trainer.config import RetryableError, UserError

logger = logging.getLogger(__name__)

# Seconds that the cluster has for an answer, and kubectl in all.
REQUEST, CALL = 30, 90
WARNING = "Warning: "
# Lines of kubectl's own log, as `E0102 15:04:05.678901 …`.
_LOG_LINE = re.compile(r"[EWIF]\d{4} ")
_NO_KIND = re.compile(r"no matches for kind \"(\w+)\"|have a resource type \"(\w+)\"")
# A pattern of kubectl's messages, the problem, and what to do.
_MISTAKES: Sequence[tuple[str, str, str]] = (
    (
        r"localhost:8080 was refused|current-context is not set|no configuration has been provided",
        "kubectl knows no cluster",
        "get the settings of yours, as by gcloud container clusters get-credentials or aws eks "
        "update-kubeconfig, or set KUBECONFIG",
    ),
    (
        r"context was not found|context .* does not exist",
        "kubectl knows no such cluster",
        "see kubectl config get-contexts",
    ),
    (
        r"Unauthorized|must be logged in|getting credentials|invalid_grant|ExpiredToken",
        "the cluster does not accept the sign-in",
        "sign in again: {message}",
    ),
    (
        r"executable .* not found|no such file or directory.*exec plugin",
        "the program that signs in to the cluster is missing",
        "install it: {message}",
    ),
    (r"exceeded quota", "the namespace's quota is used up: {message}", "ask for less, or more"),
    (
        r"Forbidden",
        "access is denied: {message}",
        "ask for a Role that allows it, and check with kubectl auth can-i --list",
    ),
    (
        r"namespaces \".*\" not found",
        "there is no such namespace",
        "make it with kubectl create namespace, or name another with --namespace",
    ),
    (
        r"AlreadyExists",
        "the name is taken: {message}",
        "give another --name, or delete that one with kubectl delete",
    ),
)
_TRANSIENT = re.compile(
    r"Unable to connect|was refused|i/o timeout|TLS handshake timeout|connection reset|EOF$"
    r"|ServiceUnavailable|TooManyRequests|InternalError|the server is currently unable"
    r"|Client\.Timeout|etcdserver|request timed out|deadline exceeded|lookup .* on"
)


class MissingObjectError(UserError):
    """An object that is not there, or whose kind the cluster does not have."""


class Kubectl:
    """Calls of kubectl for one cluster and namespace.

    Args:
        context: The cluster, or None for the current one.
        namespace: The namespace, or None for that of the context.
        program: The program.

    Raises:
        UserError: It is not installed.
    """

    def __init__(
        self, *, context: str | None, namespace: str | None, program: str = "kubectl"
    ) -> None:
        if shutil.which(program) is None:
            raise UserError(
                subject=program,
                problem="is not installed, and the trainer reaches clusters through it",
                remedy="install it (kubernetes.io/docs/tasks/tools), or send what --print yaml "
                "prints from where it is",
            )
        self._command = [program]
        self._command += ["--context", context] if context else []
        self._command += ["--namespace", namespace] if namespace else []
        self._where = " ".join(filter(None, (context, namespace))) or "kubectl"

    def command(self, *arguments: str) -> list[str]:
        """Return the whole command, for calls that last."""
        return [*self._command, *arguments]

    def run(self, *arguments: str, data: str | None = None, subject: str | None = None) -> str:
        """Run kubectl, and return what it prints.

        Args:
            arguments: The command.
            data: What it reads.
            subject: The beginning of an error's line; by default the cluster.

        Raises:
            MissingObjectError: The object or its kind is not there.
            UserError: The cluster refuses it.
            RetryableError: The cluster does not answer.
        """
        ran = self._call(arguments, data, subject or self._where)
        if ran.returncode:
            raise error_of(ran.stderr, subject=subject or self._where)
        return ran.stdout

    def create(self, documents: str, *, subject: str) -> list[str]:
        """Make objects, all or none, and return their kinds and names in order.

        Raises:
            UserError: The cluster refuses one of them.
            RetryableError: The cluster does not answer.
        """
        ran = self._call(("create", "-f", "-", "-o", "name"), documents, subject)
        made = ran.stdout.split()
        if not ran.returncode:
            # Such as that the pods will be refused, by the namespace's Pod Security Standard.
            for line in ran.stderr.splitlines():
                if line.startswith(WARNING):
                    logger.warning("%s: %s", subject, line.removeprefix(WARNING))
            return made
        if made:
            self.run("delete", *made, "--ignore-not-found", "--wait=false")
        raise error_of(ran.stderr, subject=subject)

    def get(self, *arguments: str, subject: str | None = None) -> Any:
        """Return the object or the list that `kubectl get` finds.

        Raises:
            MissingObjectError: It is not there; and as of `run`.
        """
        return json.loads(self.run("get", *arguments, "-o", "json", subject=subject))

    def _call(
        self, arguments: Sequence[str], data: str | None, subject: str
    ) -> subprocess.CompletedProcess[str]:
        logger.debug("kubectl %s", " ".join(arguments))
        try:
            return subprocess.run(
                [*self._command, f"--request-timeout={REQUEST}s", *arguments],
                input=data or "",
                capture_output=True,
                text=True,
                errors="replace",
                timeout=CALL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RetryableError(f"{subject}: no answer in {CALL} s") from None


def error_of(text: str, *, subject: str) -> UserError | RetryableError:
    """Return the error that kubectl's messages mean.

    Args:
        text: What it wrote to standard error.
        subject: What the call was about.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if not (_LOG_LINE.match(line) or line.startswith(WARNING))]
    lines = said or lines or ["it says nothing"]
    message = re.sub(r"^(?:[Ee]rror(?: from server)?(?: \(\w+\))?: )+", "", lines[0])
    message = message.removeprefix('error when creating "STDIN": ').rstrip(".")[:400]
    if len(lines) > 1 and not lines[0].startswith("Error from server"):
        message = "; ".join([message, *lines[1:3]])[:400]
    whole = "\n".join(lines)
    kind = _NO_KIND.search(whole)
    if kind:
        return MissingObjectError(
            subject=subject,
            problem=f"the cluster has no kind {kind[1] or kind[2]}",
            remedy="install its controller, or take --flavor job",
        )
    for pattern, problem, remedy in _MISTAKES:
        if re.search(pattern, whole):
            return UserError(
                subject=subject,
                problem=problem.format(message=message),
                remedy=remedy.format(message=message),
            )
    if "NotFound" in whole:
        return MissingObjectError(subject=subject, problem=message)
    if _TRANSIENT.search(whole):
        return RetryableError(f"{subject}: the cluster does not answer: {message}")
    return UserError(subject=subject, problem=message)
