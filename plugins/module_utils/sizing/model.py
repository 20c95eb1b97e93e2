# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What sizing hands out: settings with their reasons, and the checks and units its functions share."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

KIB_PER_MIB = 1024
_SIZE = re.compile(r"\s*(\d+)\s*(B|kB|MB|GB|TB)\s*")
_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


@dataclass(frozen=True)
class Setting:
    """A setting in the form its program reads, why it has this value, and whether a change needs a restart."""

    name: str
    value: str
    reason: str
    restart: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The setting as plain data."""
        return asdict(self)


def whole(name: str, value: Any, minimum: int) -> int:
    """A whole number of at least ``minimum``. Raises ValueError naming the argument otherwise."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or number != float(value) or number < minimum:
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least {minimum}")
    return number


def clamp(value: int, low: int, high: int) -> int:
    """``value``, or the bound that it crosses; ``low`` wins where the bounds cross."""
    return max(low, min(value, high))


def size(mebibytes: int) -> str:
    """MiB as PostgreSQL writes sizes: in GB where that is exact, otherwise in MB."""
    return f"{mebibytes // 1024}GB" if mebibytes and mebibytes % 1024 == 0 else f"{mebibytes}MB"


def parse_size(name: str, text: str) -> int:
    """Bytes of a PostgreSQL size with unit ("8GB", "512 MB"). Raises ValueError naming the setting otherwise."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{name} is {text!r}; expected a number and a unit of B, kB, MB, GB or TB, such as 8GB")
    return int(match.group(1)) * _BYTES[match.group(2)]
