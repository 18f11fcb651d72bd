"""Words for the differences between the hosts of a job, and a precision that suits all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from trainer.config import flag
from trainer.launch.agreement import DATA, HP, VERSIONS
from trainer.launch.host_settings import HostSettings, Value
from trainer.models import recipes

# Differences that are named; one that is mended may have been the cause of others.
MOST = 5
DISTRIBUTION = "--distribution"
_NAMED = 2
_UNSET = Value(text="not given", digest="")


def difference(hosts: Sequence[HostSettings]) -> str | None:
    """Return why the job cannot start, or None if all hosts mean the same job.

    Args:
        hosts: What each states, the coordinator first.
    """
    problems = [one.problem for one in hosts if one.problem]
    if problems:
        # What cannot start here may only be that this host shares the work otherwise.
        how = {one.host: held for one in hosts if (held := one.values.get(DISTRIBUTION))}
        if len({value.digest for value in how.values()}) > 1:
            return f"{DISTRIBUTION}: {_grouped(how)}; {_remedy([DISTRIBUTION])}"
        return problems[0]
    found = [each for each in _each(hosts) if each]
    # Another trainer may well have other fields and defaults.
    old = [(name, text) for name, text in found if name == "trainer"]
    found = old or _without_recipes(found)
    if not found:
        return None
    shown = [text for _, text in found[:MOST]]
    if len(found) > MOST:
        shown.append(f"and {len(found) - MOST} more")
    return f"{'; '.join(shown)}; {_remedy([name for name, _ in found])}"


def differs(first: HostSettings, other: HostSettings) -> bool:
    """Return whether one host cannot take part in the job of another."""
    return difference([first, other]) is not None


def common_precision(hosts: Sequence[HostSettings]) -> tuple[str | None, str | None]:
    """Return the precision for all processes, and a line about it where hosts differ.

    Args:
        hosts: What each states.

    Returns:
        None and None where `--precision` is given, or a host does not know what is fast there.
    """
    said = [one for one in hosts if one.values.get("--precision")]
    found = [one for one in hosts if one.precision]
    kinds = sorted({one.precision for one in found if one.precision})
    if said or not kinds:
        return None, None
    if len(kinds) == 1:
        return kinds[0], None
    # The only one that all of them have in hardware.
    best = " and ".join(_held(kind, [o for o in found if o.precision == kind]) for kind in kinds)
    return "float32", (
        f"precision float32 on all hosts, as the fastest is {best}; --precision sets another"
    )


def _each(hosts: Sequence[HostSettings]) -> Iterator[tuple[str, str]]:
    """Yield each setting that differs, and who has what."""
    names = dict.fromkeys(name for one in hosts for name in one.values)
    for name in names:
        # None says that a host has no use for it; what is not there, that it does not know it.
        holding = [one for one in hosts if one.values.get(name, _UNSET) is not None]
        values = {one.host: one.values.get(name) or _UNSET for one in holding}
        if name == "--precision":
            values = _precisions(hosts)
        unknown = [one for one in hosts if name not in one.values]
        if unknown and not name.startswith(HP):
            known = [one.host for one in hosts if name in one.values]
            text = f"trainer: only that on host {known[0]} knows {name}, that on host "
            yield "trainer", f"{text}{unknown[0].host} is of another version"
            return
        if len({value.digest for value in values.values()}) > 1:
            yield name, f"{name}: {_grouped(values)}"


def _without_recipes(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what only follows from the recipe of another model or module."""
    names = [name for name, _ in found]
    if "--model" not in names and "--module" not in names:
        return found
    filled = {flag(name) for name in recipes.FIELDS}
    return [(name, text) for name, text in found if name not in filled]


def _precisions(hosts: Sequence[HostSettings]) -> dict[str, Value]:
    """Return what hosts compute with, where one of them is given it; else nothing."""
    said = {one.host: one.values.get("--precision") for one in hosts}
    if not any(said.values()):
        return {}
    found = {host: value for host, value in said.items() if value}
    for one in hosts:
        if one.precision and not said[one.host]:
            by_device = next((v for v in found.values() if v.text == one.precision), _UNSET)
            text = f"not given (the device's is {one.precision})"
            found[one.host] = dataclasses.replace(by_device, text=text)
    return found


def _grouped(values: dict[str, Value]) -> str:
    """Return `64 on host b (worker 0), 100 on host a (chief 0)`, what fewer have first."""
    groups: dict[str, list[str]] = {}
    for host, value in values.items():
        groups.setdefault(value.digest, []).append(host)
    # The coordinator's comes last among equals.
    first = next(iter(values))
    ordered = sorted(groups.values(), key=lambda group: (len(group), first in group))
    texts = [values[group[0]].text for group in ordered]
    # What is masked, or has been cut off, may look the same.
    shown = [f"another {text}" if text in texts[:i] else text for i, text in enumerate(texts)]
    groups_shown = [
        f"{text} on {_hosts(group)}" for text, group in zip(shown, ordered, strict=True)
    ]
    parts = [dict(values[group[0]].parts) for group in ordered[:2]]
    names = dict.fromkeys([*parts[1], *parts[0]])
    odd = next((name for name in names if parts[0].get(name) != parts[1].get(name)), None)
    if odd and all(parts) and odd not in shown:
        groups_shown.append(f"the first that differs is {odd}")
    return ", ".join(groups_shown)


def _held(kind: str, hosts: Sequence[HostSettings]) -> str:
    return f"{kind} on {_hosts([one.host for one in hosts])}"


def _hosts(names: Sequence[str]) -> str:
    named = list(names[:_NAMED])
    if len(names) > _NAMED:
        named.append(f"{len(names) - _NAMED} more")
    return f"host{'s'[: len(names) != 1]} {' and '.join(named)}"


def _remedy(names: Sequence[str]) -> str:
    if all(name in VERSIONS for name in names):
        return "use the same image on all hosts"
    if all(name in DATA for name in names):
        return "give all hosts the same data, or set --shard-by host if each holds a part of it"
    return "set the same on all hosts"
