"""Platform, job, cluster and hosts, resolved even where flags or variables are malformed."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trainer.config import Job, UserError, flag_of, job_from_flags
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
from trainer.runtime import display_value, mask_value
from trainer.training import settings_of

# Reported even if they have their defaults.
IMPORTANT = frozenset({
    "model", "precision", "batch_size", "learning_rate", "steps", "epochs", "train", "validation",
    "test", "model_dir", "checkpoint_dir",
})  # fmt: skip
# Reported in lines of their own, or of no interest.
ELSEWHERE = ("platform", "cluster", "stopped_code", "failure_file", "gpu_expected")
# Go on after so many mistakes; each is left out and the job resolved anew.
MISTAKES = 8
REMEDY = "set it as the platform documents it, or leave it out"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The job of some flags and variables, without the malformed ones.

    Attributes:
        resolved: The job.
        mistakes: A problem for each flag or variable that was left out.
        unknown: The fields of the job that these would have set.
    """

    resolved: ResolvedJob
    mistakes: tuple[Finding, ...] = ()
    unknown: frozenset[str] = field(default_factory=frozenset)


def set_up(environment: Environment, flags: Mapping[str, Any]) -> Setup:
    """Resolve the job, leaving out each flag or variable that has a mistake in it."""
    platform, because = detect_platform(environment)
    mistakes: list[Finding] = []
    unknown: set[str] = set()
    left, env = dict(flags), dict(environment.env)
    while len(mistakes) < MISTAKES:
        try:
            resolved = resolve_job(replace(environment, env=env), left)
            # Without the variable that was left out, it may look like another platform.
            resolved = replace(resolved, platform=platform.name, because=because)
            return Setup(resolved=resolved, mistakes=tuple(mistakes), unknown=frozenset(unknown))
        except UserError as error:
            finding, subject = of_error(error, remedy=REMEDY), error.subject
        except Exception as error:
            text = f"cannot be read: {type(error).__name__}: {error}"
            finding, subject = problem(platform.name, text, "see its variables and files"), ""
        mistakes.append(finding)
        field = _leave_out(subject, env=env, flags=left, platform=platform)
        if not field:
            break
        unknown.add(field)
    try:
        given: PlatformSettings = platform.read(replace(environment, env=env))
    except Exception:
        # The mistake that it raises again is among those found above.
        given = PlatformSettings(environment=environment)
        unknown |= IMPORTANT - set(left)
    job, sources = _salvage(given, platform.name, left)
    resolved = ResolvedJob(
        job=job, platform=platform.name, because=because, sources=sources, notes=()
    )
    return Setup(resolved=resolved, mistakes=tuple(mistakes), unknown=frozenset(unknown))


def _leave_out(
    subject: str, *, env: dict[str, str], flags: dict[str, Any], platform: Platform
) -> str | None:
    """Remove the flag or variable that an error is about; return the field that it sets, if any."""
    # A subject has the value behind the name: `--steps 0`, `SM_HOSTS=[]`.
    word = re.match(r"(?:--)?[\w-]*", subject)
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
    given: PlatformSettings, platform: str, flags: Mapping[str, Any]
) -> tuple[Job, dict[str, str]]:
    """Return a job of the values that are valid by themselves, and where each comes from."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    settings = [(key, value, given.sources[key]) for key, value in given.values.items()]
    settings += [(k, value, f"hyperparameter {k}") for k, value in given.hyperparameters.items()]
    for key, value, where in settings:
        name = field_of(key)
        with contextlib.suppress(UserError, KeyError):
            value = coerce_value(name, value, where=where)
            if value is not None:
                values[name], sources[name] = value, where
    sources |= {name: flag_of(name) for name in flags}
    for fields in (values | dict(flags), dict(flags)):
        with contextlib.suppress(UserError):
            job = job_from_flags(fields)
            return replace(job, platform=platform, cluster=given.cluster), sources
    return Job(), {}


def examine_job(setup: Setup, *, env: Mapping[str, str], precision: str) -> Iterator[Finding]:
    """Report the platform, the mistakes, and the fields of the job that matter or were set.

    Args:
        setup: The resolved job.
        env: The environment.
        precision: The precision that is fastest on this host.
    """
    resolved = setup.resolved
    facts = {"platform": resolved.platform, "because": resolved.because}
    yield Finding(about="platform", text=f"{resolved.platform}: {resolved.because}", facts=facts)
    yield from setup.mistakes
    for note in resolved.notes:
        yield Finding(about=resolved.platform, text=note, level="note")
    for setting in settings_of(resolved, env=env):
        # Mask it here: in the text of a line nobody can see where a value ends.
        name, value = setting.name, mask_value(setting.value)
        if name in ELSEWHERE or not (setting.given or name in IMPORTANT):
            continue
        if name in setup.unknown:
            yield Finding(
                about=flag_of(name), text="not known, see the problem above", level="note"
            )
            continue
        source = setting.source
        if value == "by device":
            value, source = precision, value
        elif value in (None, [], {}):
            continue
        facts = {name: value, "from": source}
        yield Finding(about=flag_of(name), text=f"{display_value(value)} ({source})", facts=facts)


def examine_cluster(setup: Setup) -> Iterator[Finding]:
    """Report this process's role and rank, and the size of the cluster."""
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
    """Report the hosts of the cluster whose names do not resolve."""
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
    """Return the host of `host`, `host:port` or `[IPv6]:port`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.rpartition(":")
    return host if host and port.isdigit() and ":" not in host else address
