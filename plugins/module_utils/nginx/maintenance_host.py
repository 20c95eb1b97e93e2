# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The maintenance pages of this host: the files that say what they are, and nginx that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import state_file
from .admin import Admin, AdminError, NotRunning
from .maintenance import DIRECTORY, SETTINGS, Maintenance, MaintenanceError, parse, render, require


@dataclass(frozen=True)
class MaintenanceHost:
    """Reads and writes the states of this host's applications, and asks nginx where it runs."""

    settings_file: str = SETTINGS
    directory: str = DIRECTORY
    admin: Admin = field(default_factory=Admin)

    def settings(self) -> dict[str, Any]:
        """Return what the role nginx wrote of this edge's applications.

        Raises:
            MaintenanceError: when this host has no such file.
            StateFileError: when it cannot be read.
        """
        if not Path(self.settings_file).exists():
            raise MaintenanceError(
                f"{self.settings_file} is missing: this host is no edge; run the role nginx on it first"
            )
        return state_file.read(self.settings_file)

    def read(self, application: str) -> Maintenance:
        """Return the state in an application's file.

        Raises:
            MaintenanceError: when there is no such application, or the file holds something else.
            StateFileError: when the file cannot be read.
        """
        # Before its name becomes part of a path.
        require(application, self.settings())
        path = self._path(application)
        try:
            return parse(state_file.read(path))
        except MaintenanceError as error:
            raise MaintenanceError(f"{path}: {error}; correct it, or remove it to start anew") from error

    @contextmanager
    def locked(self, application: str) -> Iterator[None]:
        """Keep others from changing the state of this application meanwhile. Raises as ``read`` does."""
        require(application, self.settings())
        with state_file.locked(self._path(application)):
            yield

    def write(self, application: str, maintenance: Maintenance) -> None:
        """Write a state. Raises StateFileError."""
        state_file.write(self._path(application), render(maintenance))

    def report(self) -> dict[str, Any] | None:
        """Return what nginx says of its applications' pages, or None when it does not run. Raises AdminError."""
        try:
            return self.admin.request("GET", "/maintenance")
        except NotRunning:
            return None

    def sync(self) -> tuple[dict[str, Any] | None, str]:
        """Let nginx read the files; return what it says of the pages then, and what it found wrong in any file.

        The former is None when nginx does not run. Raises AdminError.
        """
        problem = ""
        try:
            self.admin.sync()
        except NotRunning:
            return None, ""
        except AdminError as error:
            problem = str(error)
        return self.report(), problem

    def _path(self, application: str) -> str:
        return f"{self.directory}/{application}.json"
