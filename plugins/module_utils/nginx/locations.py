# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The locations of an application: judged, and made into the blocks that nginx's configuration has for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .fields import Field, Fields, choice, each, fill, flag, judge, text, whole
from .quoting import quoted, snippet

ASSETS = "/srv/slipway/assets"
"""Below it, ``<application>/files`` has what releases bring as files for the edge."""
HEALTH_PATHS = ("/livez", "/readyz", "/api/health")
"""Health paths of an application that names none."""
YEAR_SECONDS = 31536000
LIMITS: Mapping[str, Sequence[str]] = {
    "http": ("general",),
    "api": ("api",),
    "auth": ("auth",),
    "websocket": ("general",),
    "spa": ("general",),
    "static": (),
    "health": (),
}
"""The limits of each kind of location that names none; the keys are all kinds."""

PATH = r"/(?!.*(?:^|/)\.\.(?:/|$))[A-Za-z0-9._~+@:/-]*"
DIRECTORY = r"/?(?!(?:.*/)?\.\.(?:/|$))[A-Za-z0-9._+@-]+(?:/[A-Za-z0-9._+@-]+)*/?"
LIMIT_NAME = r"[a-z][a-z0-9_]{0,31}"

FIELDS: Fields = {
    "path": text(PATH, "a path that begins with / and has no spaces, quotes, % or '..'", required=True),
    "exact": flag(),
    "kind": choice(*LIMITS, default="http"),
    "limits": each(text(LIMIT_NAME, "the name of a limit"), default=None),
    "directory": text(
        DIRECTORY, "a directory without spaces, quotes or '..': absolute, or inside the release's assets"
    ),
    "body_max_mb": whole(0, 102400, unit=" of MiB"),
    "read_timeout_seconds": whole(1, 86400, unit=" of seconds"),
    "methods": each(text(r"[A-Z]{3,16}", "a method in capitals, such as GET")),
    "cache_seconds": whole(0, YEAR_SECONDS, unit=" of seconds"),
    "snippet": Field("directives of nginx whose braces and quotes are closed", snippet, ""),
}

_FILES = ("static", "spa")


def findings(where: str, locations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with an application's locations; ``where`` names their list."""
    for index, location in enumerate(locations):
        place = f"{where}[{index}]"
        if not isinstance(location, Mapping):
            yield f"{place}: {location!r}; expected a mapping with path and kind"
            continue
        yield from judge(place, location, FIELDS)
        kind, directory = location.get("kind") or "http", location.get("directory")
        if kind in _FILES and not directory:
            yield f"{place}.directory: missing; expected the directory whose files are sent"
        if kind not in _FILES and directory:
            yield f"{place}.directory: {directory!r}; only locations of kind static and spa have one: remove it"
        if kind in _FILES and location.get("exact"):
            yield f"{place}.exact: true; a location of kind {kind} is a whole directory: remove it"
        if kind == "health" and location.get("exact") is False:
            yield f"{place}.exact: false; a health path is always exact: remove it"
    given = Counter(
        (str(location.get("path")).rstrip("/") or "/", bool(location.get("exact")) or location.get("kind") == "health")
        for location in locations
        if isinstance(location, Mapping)
    )
    for (path, _exact), count in given.items():
        if count > 1:
            yield f"{where}: the path {path} is given {count} times; give it once"


def complete(application: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the location blocks of nginx for an application whose own options are complete.

    A block has ``part`` (what it does: http, websocket, static, spa or index), ``matches`` (as nginx writes them), the
    options of its location with those of the application filled in, and ``cache`` (its Cache-Control).
    """
    locations = [fill(location, FIELDS) for location in application["locations"]]
    if not any(location["kind"] == "health" for location in locations):
        locations += [fill({"path": path, "kind": "health"}, FIELDS) for path in HEALTH_PATHS]
    if not any(location["path"] == "/" and not location["exact"] for location in locations):
        locations.append(fill({"path": "/", "kind": application["kind"]}, FIELDS))
    blocks = [block for index, location in enumerate(locations) for block in _blocks(application, index, location)]
    exact = {block["matches"][0] for block in blocks if block["exact"] or block["kind"] == "health"}
    for block in blocks:
        if not block["exact"] and block["kind"] != "health":
            block["matches"] = [match for match in block["matches"] if match not in exact]
    return blocks


def directories(applications: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the directories whose files are sent and that are no release's: they have to be on the host."""
    return sorted(
        {
            str(location["directory"])
            for application in applications
            for location in application.get("locations") or []
            if str(location.get("directory") or "").startswith("/")
        }
    )


def _blocks(application: Mapping[str, Any], index: int, location: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = location["kind"]
    path = location["path"].rstrip("/")
    block: dict[str, Any] = {
        **location,
        "part": kind if kind in (*_FILES, "websocket") else "http",
        "limits": list(LIMITS[kind] if location["limits"] is None else location["limits"]),
        "limit_directives": [],
        "windows": [],
        "methods": _methods(location["methods"]),
        "logged": kind not in ("health", "static"),
        "errors": "json" if kind in ("api", "auth") else "page",
        "cache": _cache(kind, location["cache_seconds"]),
        "else_asks": f"@slipway_else_{index}",
    }
    for option in ("body_max_mb", "read_timeout_seconds"):
        if block[option] is None:
            block[option] = application[option]
    if kind in _FILES:
        inside_assets = "" if location["directory"].startswith("/") else f"{ASSETS}/{application['name']}/files/"
        block["directory"] = f"{inside_assets}{location['directory'].rstrip('/')}"
        yield {**block, "matches": [quoted(f"{path}/")]}
        if kind == "static":
            asked = {"limits": list(LIMITS["http"])} if location["limits"] is None else {}
            yield {**block, **asked, "part": "http", "matches": [block["else_asks"]], "cache": "", "logged": True}
        else:
            matches = [f"= {quoted(path + '/index.html')}", block["else_asks"]]
            yield {**block, "part": "index", "matches": matches, "cache": "no-cache", "limits": []}
    elif location["exact"] or kind == "health":
        yield {**block, "matches": [f"= {quoted(location['path'])}"]}
    else:
        yield {**block, "matches": ([f"= {quoted(path)}"] if path else []) + [quoted(f"{path}/")]}


def _methods(names: Sequence[str]) -> list[str]:
    """Whoever may GET may ask for the headers alone."""
    return list(dict.fromkeys([*names, *(["HEAD"] if "GET" in names else [])]))


def _cache(kind: str, seconds: int | None) -> str:
    if kind == "auth":
        return "no-store"
    if seconds is not None:
        return f"public, max-age={seconds}"
    return {"static": f"public, max-age={YEAR_SECONDS}, immutable", "spa": "no-cache"}.get(kind, "")
