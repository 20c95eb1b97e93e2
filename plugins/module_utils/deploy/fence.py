# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps a run that has lost the lease from changing this host: each host remembers the highest number that it was told.

A lease alone does not: its holder may be dead for the coordination host and still have a task at work here. See Martin
Kleppmann, "How to do distributed locking" (2016), on fencing tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .. import state_file
from ..state_file import StateFileError

DIRECTORY = "/var/lib/slipway/deploy"
"""Where this host keeps what deploys have to remember."""

FENCE_FILE = f"{DIRECTORY}/fence"
"""The highest number that this host was told, as JSON."""

WAIT_SECONDS = 120.0


class FenceError(Exception):
    """This host must not be changed now: a newer run has the lease, or a step of another run is still at work."""


@contextmanager
def fenced(
    number: int | None, wait_seconds: float = WAIT_SECONDS, *, check_only: bool = False, path: str = FENCE_FILE
) -> Iterator[None]:
    """Change this host inside, as the run whose lease has ``number``.

    Others that are fenced wait meanwhile, so what a killed run left at work here ends first. Wait for at most
    ``wait_seconds``. A higher number than the stored one is stored before anything is changed. Without a number there
    is no lock and no check; with ``check_only`` (check mode) there is only the check.

    Raises:
        FenceError: when the number is below 1 or below the stored one, when another step is at work for longer than
            that, or when the file cannot be read or written.
    """
    if number is None:
        yield
        return
    if number < 1:
        raise FenceError(f"fence: {number}; expected the number of a lease, 1 or higher, as deploy_lease returns it")
    with ExitStack() as stack:
        try:
            if not check_only:
                make_directory(path)
                stack.enter_context(state_file.locked(path, timeout_seconds=wait_seconds))
            stored = read(path)
            if number > stored and not check_only:
                state_file.write(path, {"fence": number})
        except StateFileError as error:
            raise FenceError(f"fence: {number}: {error}") from error
        if number < stored:
            raise FenceError(
                f"fence: {number} is lower than {stored}, which this host was told already: another run took the lease."
                " Nothing was changed here; see who has it (deploy_lease_info) and start again when it ended"
            )
        yield


def make_directory(path: str) -> None:
    """Create the directory of the file at ``path``, and those above it, with mode 0755 if the umask allows.

    Raises:
        FenceError: when it cannot be created, as without root's rights.
    """
    try:
        Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise FenceError(f"{path}: its directory cannot be created: {error}; run the task with become: true") from error


def read(path: str = FENCE_FILE) -> int:
    """Return the highest number that this host was told, 0 when there is none.

    Raises:
        StateFileError: when the file cannot be read or holds something else.
    """
    stored: Any = state_file.read(path).get("fence", 0)
    if not isinstance(stored, int) or isinstance(stored, bool) or stored < 0:
        raise StateFileError(f'{path}: holds {stored!r}; expected a number, as in {{"fence": 7}}')
    return stored
