# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what Redis answers to CLUSTER NODES and CLUSTER INFO (forms of Redis 4 to 8)."""

from __future__ import annotations

from .model import Member, Ranges, RedisClusterError

_FIELDS = 8


def parse_info(text: str) -> dict[str, str]:
    """The ``name:value`` lines of CLUSTER INFO."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}


def parse_nodes(text: str) -> tuple[Member, ...]:
    """The lines of CLUSTER NODES.

    Each is ``id address flags master ping pong epoch link slot...``. Slots on the move (``[93-<-id]``) are not
    counted: they belong to the node that lists them outside of brackets.

    Raises RedisClusterError for a line that has not this form.
    """
    return tuple(_member(line) for line in text.splitlines() if line.strip())


def _member(line: str) -> Member:
    fields = line.split()
    if len(fields) < _FIELDS:
        raise RedisClusterError(f"CLUSTER NODES answered a line of an unknown form: {line!r}")
    node_id, _address, flags, master_id = fields[:4]
    return Member(
        node_id=node_id,
        flags=frozenset(flags.split(",")),
        master_id=None if master_id == "-" else master_id,
        slots=_slots(fields[_FIELDS:], line),
    )


def _slots(words: list[str], line: str) -> Ranges:
    found = []
    for word in words:
        if word.startswith("["):
            continue
        first, _dash, last = word.partition("-")
        try:
            found.append((int(first), int(last or first)))
        except ValueError:
            raise RedisClusterError(f"CLUSTER NODES answered slots of an unknown form: {line!r}") from None
    return tuple(sorted(found))
