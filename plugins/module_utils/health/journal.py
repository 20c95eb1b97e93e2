# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What systemd noted in the journal, by its structured fields. Message identifiers: systemd's sd-messages.h."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .model import CouldNotRun
from .tools import Deadline, Tools

KILLED_FOR_MEMORY = ("fe6faa94e7774663a0da52717891d8ef", "d989611b15e44c9dbf31e3c81256e4ed")
"""The kernel, or systemd-oomd, killed a process of a unit."""

PROCESS_EXIT = "98e322203f7a4ed290d09fe03c09fe15"
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
UNIT_ENDED_WELL = "7ad2d189f7e94e70a38c781354912448"
RESTART_SCHEDULED = "5eb03494b6584870a536b337290809b3"

_FIELDS = ("MESSAGE_ID", "UNIT", "UNIT_RESULT", "EXIT_CODE", "EXIT_STATUS")


@dataclass(frozen=True)
class Entry:
    """One entry: when, in seconds since 1970, which message, and of which unit."""

    at: float
    message_id: str
    unit: str
    fields: Mapping[str, str]


def entries(tools: Tools, deadline: Deadline, since: float, message_ids: Sequence[str], unit: str = "") -> list[Entry]:
    """The entries with these identifiers since a time, the oldest first. Raises CouldNotRun and TimeoutError."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--since=@{max(0, int(since))}"]
    # Only what the service manager says itself: anybody may write to the journal.
    argv += [f"--output-fields={','.join(_FIELDS)}", "_PID=1"]
    argv += [f"MESSAGE_ID={message_id}" for message_id in message_ids] + ([f"UNIT={unit}"] if unit else [])
    done = tools.run(argv, deadline.left())
    if done.code != 0 and done.errors.strip():
        raise CouldNotRun(
            f"journalctl failed: {' '.join(done.errors.split())}",
            "look whether it runs (`systemctl status systemd-journald`), and whether the check runs as root",
        )
    return parse(done.output)


def parse(text: str) -> list[Entry]:
    """Read what ``journalctl --output=json`` prints; lines that are no entry are left out."""
    found = []
    for line in text.splitlines():
        try:
            raw = json.loads(line)
            at = int(raw["__REALTIME_TIMESTAMP"]) / 1e6
        except (ValueError, KeyError, TypeError):
            continue
        fields = {key: str(raw[key]) for key in _FIELDS if raw.get(key) is not None}
        found.append(Entry(at, fields.get("MESSAGE_ID", ""), fields.get("UNIT", ""), fields))
    return found
