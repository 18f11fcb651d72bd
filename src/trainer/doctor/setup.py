"""Platform, job, cluster and the names of its hosts."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trainer.config import Job, UserError, flag, job_from_flags
from trainer.doctor.dry_run import settings, shown
from trainer.doctor.findings import Finding, of_error, problem
from trainer.doctor.probes import Probes
from trainer.platforms import (
    Environment,
    Platform,
    PlatformSettings,
    ResolvedJob,
    coerce_value,
    detect_platform,
    field_of,
    resolve_job,
)
from trainer.runtime import mask_value

# Told even where nobody has set them.
IMPORTANT = frozenset({
    "model", "precision", "batch_size", "learning_rate", "steps", "epochs", "train", "test",
    "model_dir", "checkpoint_dir",
})  # fmt: skip
# Told in lines of their own.
ELSEWHERE = ("platform", "cluster", "stopped_code", "failure_file", "gpu_expected")
# Mistakes to look past, at most.
MISTAKES = 8
REMEDY = "set it as the platform documents it, or leave it out"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What could be made of what was said.

    Attributes:
        resolved: The job; without what had a mistake in it.
        mistakes: One for each.
        unknown: Fields of the job that are not as they were meant.
    """

    resolved: ResolvedJob
    mistakes: tuple[Finding, ...] = ()
    unknown: frozenset[str] = field(default_factory=frozenset)


def set_up(environment: Environment, flags: Mapping[str, Any]) -> Setup:
    """Resolve the job, leaving out whatever variable or flag is in the way."""
    platform, because = detect_platform(environment)
    mistakes: list[Finding] = []
    unknown: set[str] = set()
    left, env = dict(flags), dict(environment.env)
    while len(mistakes) < MISTAKES:
        try:
            resolved = resolve_job(replace(environment, env=env), left)
            # Without the variable at fault, it could be taken for another.
            resolved = replace(resolved, platform=platform.name, because=because)
            return Setup(resolved=resolved, mistakes=tuple(mistakes), unknown=frozenset(unknown))
        except UserError as error:
            finding = of_error(error, remedy=REMEDY)
        except Exception as error:
            text = f"cannot be read: {type(error).__name__}: {error}"
            finding = problem(platform.name, text, "see its variables and files")
        mistakes.append(finding)
        field = _leave_out(finding.about, env=env, flags=left, platform=platform)
        if not field:
            break
        unknown.add(field)
    try:
        reading: PlatformSettings = platform.read(replace(environment, env=env))
    except Exception:
        # Told already, as the mistake.
        reading = PlatformSettings(environment=environment)
        unknown |= IMPORTANT - set(left)
    job, sources = _salvage(reading, platform.name, left)
    resolved = ResolvedJob(
        job=job, platform=platform.name, because=because, sources=sources, notes=()
    )
    return Setup(resolved=resolved, mistakes=tuple(mistakes), unknown=frozenset(unknown))


def _leave_out(
    about: str, *, env: dict[str, str], flags: dict[str, Any], platform: Platform
) -> str | None:
    """Take the flag or variable that an error begins with away; the field that it sets, if any."""
    word = re.match(r"(?:--)?[\w-]*", about)
    name = word[0] if word else ""
    field = name.removeprefix("--").replace("-", "_")
    if name.startswith("--") and field in flags:
        del flags[field]
        return field
    fields = platform.variables
    if name not in env or name not in fields:
        return None
    for variable in [v for v, of in fields.items() if fields[name] == of == "cluster"] or [name]:
        env.pop(variable, None)
    if fields[name] == "cluster":
        env |= platform.no_cluster
    return fields[name]


def _salvage(
    reading: PlatformSettings, platform: str, flags: Mapping[str, Any]
) -> tuple[Job, dict[str, str]]:
    """A job of what is right by itself, and where it comes from."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    said = [(key, value, reading.sources[key]) for key, value in reading.values.items()]
    said += [(k, value, f"hyperparameter {k}") for k, value in reading.hyperparameters.items()]
    for key, value, where in said:
        name = field_of(key)
        with contextlib.suppress(UserError, KeyError):
            value = coerce_value(name, value, where=where)
            if value is not None:
                values[name], sources[name] = value, where
    sources |= {name: flag(name) for name in flags}
    for told in (values | dict(flags), dict(flags)):
        with contextlib.suppress(UserError):
            job = job_from_flags(told)
            return replace(job, platform=platform, cluster=reading.cluster), sources
    return Job(), {}


def examine_job(setup: Setup, *, env: Mapping[str, str], precision: str) -> Iterator[Finding]:
    """Platform and job.

    Args:
        setup: What was resolved.
        env: The environment.
        precision: What the device computes fastest with.
    """
    resolved = setup.resolved
    facts = {"platform": resolved.platform, "because": resolved.because}
    yield Finding(about="platform", text=f"{resolved.platform}: {resolved.because}", facts=facts)
    yield from setup.mistakes
    for note in resolved.notes:
        yield Finding(about=resolved.platform, text=note, level="note")
    for setting in settings(resolved, env=env):
        # Masked before it is part of a line, where nothing tells where a value ends.
        name, value = setting.name, mask_value(setting.value)
        if name in ELSEWHERE or not (setting.given or name in IMPORTANT):
            continue
        if name in setup.unknown:
            yield Finding(about=flag(name), text="not known, see the problem above", level="note")
            continue
        source = setting.source
        if value == "by device":
            value, source = precision, value
        elif value in (None, [], {}):
            continue
        facts = {name: value, "from": source}
        yield Finding(about=flag(name), text=f"{shown(value)} ({source})", facts=facts)


def examine_cluster(setup: Setup) -> Iterator[Finding]:
    """Role, rank and size."""
    if "cluster" in setup.unknown:
        yield Finding(
            about="cluster", text="not known, see the problem above; taken as one process",
            level="note",
        )  # fmt: skip
        return
    cluster = setup.resolved.job.cluster
    rank = f", rank {cluster.rank} of {len(cluster.trainers) or 1}" if cluster.rank >= 0 else ""
    via = f", network interface {cluster.interface}" if cluster.interface else ""
    facts: dict[str, Any] = {"role": cluster.role, "index": cluster.index, "rank": cluster.rank}
    facts |= {"size": cluster.size, "interface": cluster.interface}
    text = f"{cluster}{rank}{via}" if cluster.size > 1 else f"one process, {cluster.role}{via}"
    yield Finding(about="cluster", text=text, facts=facts)


def examine_hosts(setup: Setup, probes: Probes) -> Iterator[Finding]:
    """Whether the name of each host of the cluster resolves."""
    cluster = setup.resolved.job.cluster
    everyone = (*cluster.trainers, *cluster.ps, *cluster.evaluator)
    hosts = list(dict.fromkeys(host_of(address) for address in everyone))
    if not hosts:
        return
    found: dict[str, str] = {}

    def ask(host: str) -> None:
        try:
            probes.look_up(host)
            found[host] = ""
        except (OSError, UnicodeError) as error:
            found[host] = str(error)

    threads = [threading.Thread(target=ask, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + probes.host_seconds
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    answers = dict(found)
    missing = [host for host in hosts if answers.get(host) != ""]
    facts = {"hosts": hosts, "missing": missing}
    if not missing:
        yield Finding(about="hosts", text=f"all {len(hosts)} names resolve", facts=facts)
        return
    named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    reason = answers.get(missing[0], f"no answer within {probes.host_seconds:g} seconds")
    yield problem(
        "hosts", f"{len(missing)} of {len(hosts)} names do not resolve: {named} ({reason})",
        "see that these hosts have started and share a network with this one", **facts,
    )  # fmt: skip


def host_of(address: str) -> str:
    """The host of `host`, `host:port` or `[IPv6]:port`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.rpartition(":")
    return host if host and port.isdigit() and ":" not in host else address
