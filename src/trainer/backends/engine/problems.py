"""Mistakes that an engine reports, by its own texts, as lines that say what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config import UserError
from trainer.runtime import shortened


@dataclass(frozen=True)
class EngineProblem:
    """A text of an engine's, and what it means.

    Attributes:
        pattern: Found in the text, in any case; its groups stand for `{0}`, `{1}` in the others.
        subject: What the mistake is in.
        problem: What is wrong.
        remedy: What to do.
    """

    pattern: str
    subject: str
    problem: str
    remedy: str


# Docker's texts of versions 20 to 28, and Podman's.
PROBLEMS = (
    EngineProblem(
        r"permission denied.*(?:docker daemon|docker API|podman) ?(?:socket )?at (\S+?):? ",
        "docker",
        "no permission for the engine's socket {0}",
        "join the group docker (sudo usermod -aG docker $USER, then log in again)",
    ),
    EngineProblem(
        r"cannot connect to (?:the docker daemon|podman)|is the docker daemon running"
        r"|failed to connect to the docker api|error during connect",
        "docker",
        "no engine answers",
        "start it (sudo systemctl start docker), or name another with DOCKER_HOST",
    ),
    EngineProblem(
        r"no such image: (\S+)|unable to find image '(\S+)'|(\S+): image not known"
        r"|(?:pull access denied for|manifest for) (\S+?)(?:,| )|(\S+): not found: manifest",
        "--image {0}",
        "the engine has no such image, and it cannot be pulled",
        "build it (make image), load it (docker load), or name another",
    ),
    EngineProblem(
        r"could not select device driver|unknown or invalid runtime name: nvidia"
        r"|nvidia-container-cli|unresolvable CDI devices",
        "--gpus",
        "this engine gives containers no GPU",
        "install NVIDIA's Container Toolkit (nvidia-ctk runtime configure), or leave --gpus out",
    ),
    EngineProblem(
        r"bind for (\S+) failed: port is already allocated"
        r"|listen tcp\S* (\S+?):? .*address already in use|(\S+): bind: address already in use",
        "port {0}",
        "another program listens there",
        "end that one (docker ps, ss -ltnp), or choose another port",
    ),
    EngineProblem(
        r'container name "?/?([^" ]+)"? is already in use|name "?([^" ]+)"? is in use',
        "--name {0}",
        "a container of this name is there already",
        "choose another name, or remove that one (docker rm {0})",
    ),
    EngineProblem(
        r"(network|volume) with name (\S+) already exists",
        "{1}",
        "the engine has a {0} of this name already",
        "choose another --name, or remove it (docker {0} rm {1})",
    ),
    EngineProblem(
        r"no space left on device|disk quota exceeded",
        "docker",
        "the engine's disk is full",
        "make room there (docker system df, docker system prune)",
    ),
    EngineProblem(
        r"network (\S+) (?:not found|declared as external)"
        r"|unable to find network with name or ID (\S+?):",
        "--network {0}",
        "the engine has no such network",
        "make it (docker network create {0}), or leave --network out",
    ),
    EngineProblem(
        r"bind source path does not exist: (.+)|statfs (.+): no such file",
        "{0}",
        "the engine's machine has no such path",
        "share it with the engine, or copy it there if DOCKER_HOST is another machine",
    ),
    EngineProblem(
        r"(minimum memory limit allowed is \S+)", "--memory", "the engine says: {0}", "give more"
    ),
    EngineProblem(
        r"(range of cpus is from .+ available)", "--cpus", "the engine says: {0}", "give fewer"
    ),
    EngineProblem(
        r"could not find an available.*address pool|all predefined address pools",
        "docker",
        "the engine has no addresses left for another network",
        "remove networks that nobody uses (docker network prune)",
    ),
    EngineProblem(
        r"no such container: (\S+)|no container with name or ID \"?([^\" ]+)",
        "container {0}",
        "the engine has none of this name",
        "see docker ps --all, or trainer jobs list --on docker",
    ),
    EngineProblem(
        r"could not find the file (.+) in container (\S+)",
        "{0}",
        "is not there in container {1}",
        "see what the job printed (trainer jobs logs)",
    ),
)  # fmt: skip


def engine_error(text: str, *, subject: str) -> UserError:
    """Return the error that an engine's client printed.

    Args:
        text: What it printed to standard error.
        subject: What was asked of it, for texts that are not known.
    """
    for each in PROBLEMS:
        match = re.search(each.pattern, text, re.IGNORECASE)
        if match:
            words = [group.rstrip(".") for group in match.groups() if group]
            return UserError(
                subject=each.subject.format(*words),
                problem=each.problem.format(*words),
                remedy=each.remedy.format(*words),
            )
    return UserError(subject=subject, problem=_first_line(text))


def _first_line(text: str) -> str:
    """Return the line of a client's output that says what failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("WARNING", "time=", "Usage"))] or lines
    chosen = next((line for line in lines if "rror" in line), lines[0] if lines else "no reason")
    for prefix in ("docker: ", "Error response from daemon: ", "Error: "):
        chosen = chosen.removeprefix(prefix)
    return shortened(chosen, 300)
