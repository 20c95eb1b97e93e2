"""Hands the certificates that nginx serves to it, without a reload. For root, on an edge host.

edge-certificates          those whose files changed since nginx took them
edge-certificates --all    all of them

Says what it handed over. Where nginx does not run, there is nothing to do: it reads the files when it starts.
Exit status 1, and a reason: nginx refused a pair and keeps serving what it had.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any

SOCKET = "/var/lib/slipway/nginx/admin.sock"


class Refused(Exception):
    """nginx did not take them; the message says why."""


class Connection(http.client.HTTPConnection):
    """HTTP over nginx's admin socket."""

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(SOCKET)


def ask(method: str, path: str, body: Any = None) -> Any:
    """The object that nginx answers with."""
    connection = Connection("localhost")
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    finally:
        connection.close()
    if response.status != 200:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = json.loads(text)["error"]
        raise Refused(f"nginx answered {response.status}: {text.strip()}")
    return json.loads(text)


def load(everything: bool) -> list[str]:
    """Hand certificates over, and return their names."""
    known = ask("GET", "/certificates")
    names = sorted(known["certificates"] if everything else known["stale"])
    given = {}
    for name in names:
        given[name] = {
            "certificate": Path(name).read_text(encoding="utf-8"),
            "key": Path(known["certificates"][name]["key"]).read_text(encoding="utf-8"),
        }
    if given:
        ask("POST", "/certificates", given)
    return names


def main(arguments: list[str]) -> int:
    """Exit status."""
    if arguments not in ([], ["--all"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        names = load(everything=arguments == ["--all"])
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED) and not error.filename:
            print("nginx does not run; it reads its certificates when it starts")
            return 0
        print(f"edge-certificates: {error}", file=sys.stderr)
        return 1
    except (Refused, http.client.HTTPException, ValueError) as error:
        print(f"edge-certificates: {error}; nginx serves what it had", file=sys.stderr)
        return 1
    print(f"nginx took {', '.join(names)}" if names else "nginx has them all")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
