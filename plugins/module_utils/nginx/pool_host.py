# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pools of this host: the files that say what they are, and nginx that runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import state_file
from .admin import Admin, NotRunning
from .pool import DECLARED_FILE, STATES_DIRECTORY, Change, Pool, PoolError, parse, render, require


@dataclass(frozen=True)
class PoolHost:
    """Reads the pools' files, writes their states, and asks nginx where it runs."""

    declared_file: str = DECLARED_FILE
    states_directory: str = STATES_DIRECTORY
    admin: Admin = field(default_factory=Admin)

    def declared(self) -> dict[str, Any]:
        """Return the applications and their members, as the role nginx wrote them.

        Raises:
            PoolError: when this host has no such file.
            StateFileError: when it cannot be read.
        """
        if not Path(self.declared_file).exists():
            raise PoolError(f"{self.declared_file} is missing: this host is no edge; run the role nginx on it first")
        return state_file.read(self.declared_file)

    def read(self, application: str) -> tuple[Pool, dict[str, Any]]:
        """Return a pool and the content of its state file.

        Raises:
            PoolError: when there is no such application.
            StateFileError: when a file cannot be read.
        """
        declared = self.declared()
        # Before its name becomes part of a path.
        require(application, declared)
        states = state_file.read(self._path(application))
        return parse(application, declared, states), states

    @contextmanager
    def locked(self, application: str) -> Iterator[None]:
        """Keep others from changing the states of this application meanwhile. Raises as ``read`` does."""
        require(application, self.declared())
        with state_file.locked(self._path(application)):
            yield

    def write(self, application: str, states: Mapping[str, Any], changes: tuple[Change, ...]) -> None:
        """Write the states after the changes. Raises StateFileError."""
        state_file.write(self._path(application), render(states, changes))

    def report(self) -> dict[str, Any] | None:
        """Return what nginx says of its pools, or None when it does not run. Raises AdminError."""
        try:
            return self.admin.pools()
        except NotRunning:
            return None

    def sync(self) -> dict[str, Any] | None:
        """Let nginx read the files; return what it says then, or None when it does not run. Raises AdminError."""
        try:
            return self.admin.sync()
        except NotRunning:
            return None

    def _path(self, application: str) -> str:
        return f"{self.states_directory}/{application}.json"
