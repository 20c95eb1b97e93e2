# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kernel settings as a whole: what is wanted, what the kernel holds, what it refuses, and the file that persists them.

Keys of /proc/sys are persisted in a sysctl.d(5) file, attributes below /sys in a tmpfiles.d(5) file. The file is wholly
ours. A key that the kernel refused is kept in it as a comment with the reason, so that an operator
finds it where they look, and so that check mode knows what an earlier run learned by trying.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HEADER = "# Managed by slipway.stack.sysctl: changes made by hand are lost.\n"
NO_SUCH_KEY = "no such key in this kernel or container"
READ_ONLY = "read-only here: the kernel or the container does not let it be set"

_KEY = re.compile(r"[A-Za-z0-9_]+([./][A-Za-z0-9_:@-]+)+")
# "#!" stands in place of a line, "#~" above one.
_REFUSED = re.compile(r"^#(?P<mark>[!~]) (?P<key>\S+) = (?P<value>.*?) \((?P<reason>.*)\)$")
_SELECTED = re.compile(r"\[([^\]\s]+)\]")


@dataclass(frozen=True)
class Live:
    """What the kernel holds for a key: its value, or None when there is no such key; whether it may be written."""

    value: str | None
    writable: bool


@dataclass(frozen=True)
class Change:
    """A key to set, from the value that the kernel holds to the one that is wanted."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class Refusal:
    """A key whose wanted value the kernel does not hold, and why.

    ``clamped``: the kernel took the value and holds another one, so that it may be worth asking for at the next boot.
    """

    key: str
    value: str
    reason: str
    clamped: bool = False


@dataclass(frozen=True)
class Plan:
    """Changes to try and keys known to be refused before anything is tried, each in the order of the settings."""

    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]


def normalise(settings: Mapping[str, Any], option: str = "settings") -> dict[str, str]:
    """Settings as text: booleans as 1 and 0, lists joined, runs of whitespace made one blank.

    Raises ValueError naming ``option`` and a key that is not a sysctl key (letters, digits and underscores with dots
    or slashes between; no patterns) or a value that has no text (none, empty, or nested).
    """
    normal = {}
    for key, value in settings.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key) or ".." in key:
            raise ValueError(f"{option}: {key!r} is not a sysctl key; expected a name such as net.core.somaxconn")
        normal[key] = _text(f"{option}: {key}", value)
    return normal


def _text(name: str, value: Any) -> str:
    parts = value if isinstance(value, (list, tuple)) else [value]
    if any(part is None or isinstance(part, (dict, list, tuple)) for part in parts):
        raise ValueError(f"{name} is {value!r}; expected a number, a text, or a list of these")
    text = squeeze(" ".join(str(int(part)) if isinstance(part, bool) else str(part) for part in parts))
    if not text:
        raise ValueError(f"{name} is empty; expected a number, a text, or a list of these")
    return text


def squeeze(text: str) -> str:
    """Whitespace as this module compares it: the kernel separates with tabs what people write with blanks."""
    return " ".join(text.split())


def path_of(key: str) -> str:
    """File of a key below /proc/sys, by the rule of sysctl.d(5): the first separator decides which one separates.

    ``net.ipv4.conf.all.rp_filter`` and ``net/ipv4/conf/eth0.100/rp_filter`` are both valid.
    """
    separators = [character for character in key if character in "./"]
    if separators and separators[0] == "/":
        return key
    return key.translate(str.maketrans("./", "/."))


def parse_refused(file_text: str) -> tuple[Refusal, ...]:
    """Refusals that an earlier run left in the file."""
    matches = (_REFUSED.match(line) for line in file_text.splitlines())
    return tuple(
        Refusal(match["key"], match["value"], match["reason"], clamped=match["mark"] == "~")
        for match in matches
        if match
    )


def selected(text: str) -> str:
    """Value of an attribute of /sys; of those that list their choices, the chosen one ("always madvise [never]")."""
    match = _SELECTED.search(text)
    return match.group(1) if match else text


def plan(wanted: Mapping[str, str], live: Mapping[str, Live]) -> Plan:
    """What to set and what cannot be set. ``wanted`` is normalised, ``live`` has every key of it."""
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for key, value in wanted.items():
        held = live[key]
        if held.value is None:
            refusals.append(Refusal(key, value, NO_SUCH_KEY))
        elif squeeze(held.value) == value:
            continue
        elif not held.writable:
            refusals.append(Refusal(key, value, READ_ONLY))
        else:
            changes.append(Change(key, squeeze(held.value), value))
    return Plan(tuple(changes), tuple(refusals))


def predict(planned: Plan, remembered: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    """Refusals that a run would meet: those known before it, and those that an earlier run met with the same values."""
    changes = {(change.key, change.after) for change in planned.changes}
    again = tuple(refusal for refusal in remembered if (refusal.key, refusal.value) in changes)
    return planned.refusals + again


def clamp(change: Change, held: str) -> Refusal:
    """The refusal of a setting that the kernel took without an error, and changed to ``held``."""
    return Refusal(change.key, change.after, f"the kernel holds {held} instead", clamped=True)


def sysctl_line(key: str, value: str) -> str:
    """A setting in a sysctl.d(5) file."""
    return f"{key} = {value}"


def tmpfiles_line(key: str, value: str) -> str:
    """An attribute below /sys in a tmpfiles.d(5) file: written at boot, and no failure where it is missing."""
    return f"w- /sys/{path_of(key)} - - - - {value}"


def render(
    wanted: Mapping[str, str], refusals: tuple[Refusal, ...], line: Callable[[str, str], str] = sysctl_line
) -> str:
    """Text of the file: a line per key in the order given; a comment with the reason above those clamped, and in place
    of those refused."""
    by_key = {refusal.key: refusal for refusal in refusals}
    lines = [HEADER]
    for key, value in wanted.items():
        refusal = by_key.get(key)
        if refusal is not None:
            mark = "~" if refusal.clamped else "!"
            lines.append(f"#{mark} {key} = {value} ({squeeze(refusal.reason)})\n")
        if refusal is None or refusal.clamped:
            lines.append(line(key, value) + "\n")
    return "".join(lines)
