# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Response headers that make browsers careful. An application that sends one itself is left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .quoting import quotable, quoted

DEFAULTS: Mapping[str, str] = {
    # Says only who may show the pages in frames: what a page may load is for its application to say.
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
}
"""Beside Strict-Transport-Security, whose time the edge names for all applications."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")


def findings(where: str, headers: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an application's own headers; a value of None leaves a header out."""
    known: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield f"{where}: {name!r}; expected the name of a response header"
        elif name.lower() in known:
            yield f"{where}.{name}: is given as {known[name.lower()]}, too; give it once"
        elif value is not None and (not quotable(value) or value == ""):
            yield f"{where}.{name}: {value!r}; expected a text of printable ASCII without $, or null to leave it out"
        known[str(name).lower()] = str(name)


def complete(headers: Mapping[str, str | None], hsts_seconds: int) -> list[dict[str, str]]:
    """Return the headers to send, each with its ``name``, ``value`` (quoted), ``variable`` and ``own``.

    ``own`` is what is empty as long as the application leaves the header to the edge. ``variable`` ends the name of
    the variable that has the value then.
    """
    whole = {"Strict-Transport-Security": f"max-age={hsts_seconds}", **DEFAULTS}
    spelled = {name.lower(): name for name in whole}
    chosen: dict[str, str | None] = dict(whole)
    for name, value in headers.items():
        chosen[spelled.get(name.lower(), name)] = value
    return [
        {"name": name, "value": quoted(value), "variable": f"header_{_variable(name)}", "own": _own(name)}
        for name, value in chosen.items()
        if value is not None
    ]


def _variable(name: str) -> str:
    return name.lower().replace("-", "_")


def _own(name: str) -> str:
    if name == "Content-Security-Policy":
        # Browsers would follow its frame-ancestors and not the application's own X-Frame-Options. The maintenance page
        # has a policy that does not come from an application.
        return "$sent_http_content_security_policy$upstream_http_x_frame_options"
    return f"$upstream_http_{_variable(name)}"
