# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The admin socket of the edge's nginx: JSON over HTTP over a Unix socket that only root reaches."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

SOCKET = "/var/lib/slipway/nginx/admin.sock"
TIMEOUT_SECONDS = 10.0

_NOBODY_LISTENS = (errno.ENOENT, errno.ECONNREFUSED)


class AdminError(Exception):
    """nginx did not do what it was asked; the message says what it answered, or why it did not."""


class NotRunning(AdminError):
    """Nobody listens at the socket: nginx does not run, or not with the configuration of the role nginx."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Admin:
    """Asks nginx on this host. Every request is a connection of its own and takes at most ``timeout_seconds``."""

    def __init__(self, path: str = SOCKET, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds

    def pools(self) -> dict[str, Any]:
        """Return what ``GET /pools`` says: the pools with their members, and the files that nginx runs a version of.

        Raises:
            NotRunning: when nobody listens at the socket.
            AdminError: when the answer is none, or not one.
        """
        return self.request("GET", "/pools")

    def limits(self) -> dict[str, Any]:
        """Return what ``GET /limits`` says: by application, the limits and connections that nginx runs with.

        Raises:
            NotRunning: when nobody listens at the socket.
            AdminError: when the answer is none, or not one.
        """
        return self.request("GET", "/limits")

    def sync(self) -> dict[str, Any]:
        """Let nginx read the state files again, for all its workers at once; return what ``pools`` says then.

        Raises:
            NotRunning: when nobody listens at the socket; nginx reads the files when it starts.
            AdminError: when it could not read them (it keeps what it had), or the answer is none.
        """
        return self.request("POST", "/sync")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return the JSON object it is answered with.

        Raises:
            NotRunning: when nobody listens at the socket.
            AdminError: when the status is not 200 or the answer is not a JSON object.
        """
        what = f"{method} {path} at {self._path}"
        connection = _UnixConnection(self._path, self._timeout_seconds)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Content-Type": "application/json", "Connection": "close"},
            )
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(what, error) from error
        finally:
            connection.close()
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if response.status != 200:
            said = found.get("error") if isinstance(found, dict) else None
            raise AdminError(f"{what}: {response.status}: {said or text.strip()[:300] or 'no message'}")
        if not isinstance(found, dict):
            raise AdminError(f"{what}: expected a JSON object, got {text[:300]!r}")
        return found

    def _failure(self, what: str, error: Exception) -> AdminError:
        if isinstance(error, PermissionError):
            return AdminError(f"{what}: only root reaches it; run this with become: true")
        if isinstance(error, OSError) and error.errno in _NOBODY_LISTENS:
            return NotRunning(f"{what}: nobody listens there: nginx does not run, or without the role nginx")
        if isinstance(error, socket.timeout):
            return AdminError(f"{what}: no answer within {self._timeout_seconds:g} seconds")
        return AdminError(f"{what}: {error or type(error).__name__}")
