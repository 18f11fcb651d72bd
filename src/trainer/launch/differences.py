"""Differences between the hosts of a job, in words, and a precision that suits all hosts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from trainer.config import flag_of
from trainer.launch.agreement import DATA, HP, LABELS, VERSIONS
from trainer.launch.host_settings import HostSettings, StatedValue
from trainer.models import recipes

# The most differences that a message names; others may follow from these and go with them.
MOST = 5
DISTRIBUTION = "--distribution"
_NAMED = 2
_UNSET = StatedValue(text="not given", digest="")


def difference(hosts: Sequence[HostSettings]) -> str | None:
    """Return why the job cannot start, or None if all hosts mean the same job.

    Args:
        hosts: The settings that each host states, the coordinator's first.
    """
    problems = [one.problem for one in hosts if one.problem]
    if problems:
        # The problem may only follow from another strategy that this host was given.
        how = {one.host: held for one in hosts if (held := one.values.get(DISTRIBUTION))}
        if len({value.digest for value in how.values()}) > 1:
            return f"{DISTRIBUTION}: {_grouped(how)}; {_remedy([DISTRIBUTION])}"
        return problems[0]
    found = [each for each in _each(hosts) if each]
    # A trainer of another version may well have other fields and defaults.
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
        hosts: The settings that each host states.

    Returns:
        None and None where `--precision` is given, or no host knows which precision is fast there.
    """
    stated = [one for one in hosts if one.values.get("--precision")]
    found = [one for one in hosts if one.precision]
    kinds = sorted({one.precision for one in found if one.precision})
    if stated or not kinds:
        return None, None
    if len(kinds) == 1:
        return kinds[0], None
    # float32 is the only precision that all devices have in hardware.
    best = " and ".join(_held(kind, [o for o in found if o.precision == kind]) for kind in kinds)
    return "float32", (
        f"precision float32 on all hosts, as the fastest is {best}; --precision sets another"
    )


def _each(hosts: Sequence[HostSettings]) -> Iterator[tuple[str, str]]:
    """Yield each setting that differs, with the hosts of each value."""
    names = dict.fromkeys(name for one in hosts for name in one.values)
    for name in names:
        # The value None means that a host has no use for the setting, a missing one that it does
        # not know the setting.
        holding = [one for one in hosts if one.values.get(name, _UNSET) is not None]
        values = {one.host: one.values.get(name) or _UNSET for one in holding}
        if name == "--precision":
            values = _precisions(hosts)
        unknown = [one for one in hosts if name not in one.values]
        if unknown and not name.startswith(HP):
            known = [one.host for one in hosts if name in one.values]
            text = f"trainer: only that on host {known[0]} knows {LABELS.get(name, name)}, "
            yield "trainer", f"{text}that on host {unknown[0].host} is of another version"
            return
        if len({value.digest for value in values.values()}) > 1:
            yield name, f"{LABELS.get(name, name)}: {_grouped(values)}"


def _without_recipes(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what only follows from the recipe of another model or module."""
    names = [name for name, _ in found]
    if "--model" not in names and "--module" not in names:
        return found
    filled = {flag_of(name) for name in recipes.FIELDS}
    return [(name, text) for name, text in found if name not in filled]


def _precisions(hosts: Sequence[HostSettings]) -> dict[str, StatedValue]:
    """Return the precision of each host, where one of them is given it; else nothing."""
    stated = {one.host: one.values.get("--precision") for one in hosts}
    if not any(stated.values()):
        return {}
    found = {host: value for host, value in stated.items() if value}
    for one in hosts:
        if one.precision and not stated[one.host]:
            by_device = next((v for v in found.values() if v.text == one.precision), _UNSET)
            text = f"not given (the device's is {one.precision})"
            found[one.host] = dataclasses.replace(by_device, text=text)
    return found


def _grouped(values: dict[str, StatedValue]) -> str:
    """Return `64 on host b (worker 0), 100 on host a (chief 0)`, the rarest value first."""
    groups: dict[str, list[str]] = {}
    for host, value in values.items():
        groups.setdefault(value.digest, []).append(host)
    # The coordinator's value comes last among values that are equally frequent.
    first = next(iter(values))
    ordered = sorted(groups.values(), key=lambda group: (len(group), first in group))
    texts = [values[group[0]].text for group in ordered]
    # Values that are masked, or have been cut off, may look the same.
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
