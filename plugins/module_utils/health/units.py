# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers with units, as programs print them: ``245MB``, ``2h 15m``, ``83 %``, ``1,024``.

Bytes: kB, MB, GB, TB and PB are powers of 1000 and KiB, MiB, ... powers of 1024 (IEC 80000-13),
whatever the case of their letters. Time: ns, us, ms, s, m, h, d, w and their names, added up.
A lone K, M or G is refused: it may mean either base, and m is a minute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BYTES = {"b": 1.0, "byte": 1.0, "bytes": 1.0}
for _power, _letter in enumerate("kmgtp", start=1):
    _BYTES[f"{_letter}b"] = 1000.0**_power
    _BYTES[f"{_letter}ib"] = 1024.0**_power

_SECONDS = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*({_NUMBER})\s*([A-Za-zµμ]+)\s*,?")
_PLAIN = re.compile(rf"\s*([+-]?{_NUMBER})\s*(%?)\s*\Z")


@dataclass(frozen=True)
class Quantity:
    """A number in the base unit of its kind: bytes, seconds, percent, or none."""

    value: float
    kind: str


def parse_quantity(raw: object) -> Quantity | None:
    """Read a number or a text holding one; ``None`` where it holds none, or holds more than that."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, (int, float)):
        return Quantity(float(raw), "number")
    if not isinstance(raw, str):
        return None
    plain = _PLAIN.match(raw)
    if plain:
        return Quantity(float(plain.group(1).replace(",", "")), "percent" if plain.group(2) else "number")
    text, negative = raw.strip(), False
    if text[:1] in ("-", "+"):
        negative, text = text[0] == "-", text[1:]
    terms, position = [], 0
    while position < len(text):
        term = _TERM.match(text, position)
        if not term:
            return None
        terms.append((float(term.group(1).replace(",", "")), term.group(2)))
        position = term.end()
    if not terms:
        return None
    sign = -1.0 if negative else 1.0
    if len(terms) == 1 and terms[0][1].lower() in _BYTES:
        return Quantity(sign * terms[0][0] * _BYTES[terms[0][1].lower()], "bytes")
    # One capital letter is no unit of time: 5M is not five minutes.
    known = all(unit.lower() in _SECONDS and (len(unit) > 1 or unit.islower()) for _dummy, unit in terms)
    if not known:
        return None
    return Quantity(sign * sum(number * _SECONDS[unit.lower()] for number, unit in terms), "seconds")


def human_bytes(count: float) -> str:
    """Bytes in the largest unit that leaves a figure of at least 1, with one decimal."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def human_seconds(seconds: float) -> str:
    """A time span in the unit that people would use: ``90 s``, ``95 min``, ``26 h``, ``3.1 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.1f} days"
