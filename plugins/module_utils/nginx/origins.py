# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose pages may use an application: CORS, and the Origin of websockets, to which CORS does not apply."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .fields import Fields, each, fill, flag, judge, text, whole
from .quoting import quoted

_ORIGIN = r"https?://(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
ORIGIN = text(_ORIGIN, "an origin as browsers send it, such as https://www.example.com: in lower case, without a path")
_HEADER = text(r"[A-Za-z][A-Za-z0-9-]{0,63}", "the name of a header")

CORS_FIELDS: Fields = {
    "origins": each(text(rf"\*|{_ORIGIN}", f"{ORIGIN.expected}, or *")),
    "methods": each(
        text(r"[A-Z]{3,16}", "a method in capitals, such as GET"), ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    ),
    "headers": each(_HEADER, ["Authorization", "Content-Type"]),
    "exposed_headers": each(_HEADER, ["X-Request-ID"]),
    "credentials": flag(),
    "max_age_seconds": whole(0, 86400, 7200, unit=" of seconds"),
}


def cors_findings(where: str, cors: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an application's CORS rules."""
    yield from judge(where, cors, CORS_FIELDS)
    if cors.get("credentials") is True and "*" in (cors.get("origins") or []):
        yield (
            f"{where}.origins: '*' with credentials would let every page act for the user who is signed in; name the"
            " origins, or leave credentials false"
        )


def complete_cors(cors: Mapping[str, Any]) -> dict[str, Any]:
    """Return CORS rules with their defaults.

    ``any`` tells whether they are for every origin; ``preflight`` has the headers that only preflights are answered
    with: ``name``, ``value`` and the end of the name of its ``variable``.
    """
    whole_one = fill(cors, CORS_FIELDS)
    preflight = {
        "methods": ("Access-Control-Allow-Methods", ", ".join(whole_one["methods"])),
        "headers": ("Access-Control-Allow-Headers", ", ".join(whole_one["headers"])),
        "max_age": ("Access-Control-Max-Age", str(whole_one["max_age_seconds"])),
    }
    return {
        **whole_one,
        "any": "*" in whole_one["origins"],
        "preflight": [
            {"name": name, "value": quoted(value), "variable": f"cors_{end}"}
            for end, (name, value) in preflight.items()
        ],
    }


def websocket_origins(application: Mapping[str, Any], https_port: int) -> list[str]:
    """Return the keys of an nginx ``map`` of ``$http_origin``: the origins whose pages may open websockets.

    These are the pages of the application's own host names, with the port or without, and those that it names.
    """
    own: list[str] = []
    for name in application["server_names"]:
        port = "" if https_port == 443 else f":{https_port}"
        if name.startswith("*."):
            below = re.escape(name[1:])
            own.append(quoted(rf"~^https://[a-z0-9._-]+{below}(?::{https_port})?\z"))
        else:
            own += [quoted(f"https://{name}{suffix}") for suffix in dict.fromkeys(("", port))]
    return list(dict.fromkeys([*own, *(quoted(origin) for origin in application["websocket_origins"])]))
