# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many requests the edge lets through, and how it knows who a request is from: judged, and made into directives.

A *bucket* is nginx's own ``limit_req``: it leaks evenly, and holds ``burst`` requests besides the one that is
passing. A *window* is a counter in shared memory that begins with the first request and is forgotten after
``seconds``. Both are kept by each edge host for itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .fields import Field, Fields, choice, fill, flag, judge, text, whole
from .quoting import quotable

ANONYMOUS = "anonymous"
"""Tier of whoever is not known."""
CONNECTIONS = "connections"
"""What logs call the limit of connections."""
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "general": {"requests": 200, "seconds": 60, "burst": 200},
    "api": {"requests": 100, "seconds": 60, "burst": 100},
    "auth": {"requests": 60, "seconds": 60, "burst": 20},
}
"""Limits that exist unless they are replaced or removed. The rates of ``general`` and ``api`` are those of the guide
for a portal; each lets as much through at once as it does in a minute, so that no page load is refused."""
LARGEST = 1_000_000
"""Requests that a limit may have."""
HS256_SECRET_BYTES = 32
"""Shortest secret of HS256 (RFC 7518, section 3.2)."""

NAME = r"[a-z][a-z0-9_]{0,31}"
TIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
COUNTRY = re.compile(r"[A-Z]{2}|default")
HEADER = r"[A-Za-z][A-Za-z0-9-]{0,63}"
COOKIE = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\s(.*?)-----END \1-----", re.DOTALL)
_OBJECT_IDS = {
    "RS256": bytes.fromhex("06092a864886f70d010101"),
    "ES256": bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"),
}
_MAP_WORDS = ("default", "hostnames", "include", "volatile")


def _counts(keys: re.Pattern[str], expected: str) -> Field:
    def inside(where: str, value: Mapping[Any, Any]) -> Iterator[str]:
        for key, requests in value.items():
            if not isinstance(key, str) or not keys.fullmatch(key):
                yield f"{where}: {key!r}; expected {expected}"
            elif not _is_count(requests):
                yield f"{where}.{key}: {requests!r}; expected a whole number of requests from 1 to {LARGEST}"

    return Field(
        f"a mapping with at least one entry, of {expected} and a number of requests",
        lambda value: isinstance(value, Mapping) and len(value) > 0,
        inside=inside,
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST


FIELDS: Fields = {
    "requests": Field(f"a whole number of requests from 1 to {LARGEST}", _is_count, required=True),
    "seconds": Field(
        "a whole number of seconds from 1 to 86400",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 86400,
        required=True,
    ),
    "burst": whole(0, LARGEST, 0, " of requests"),
    "kind": choice("bucket", "window", default="bucket"),
    "by": choice("address", "user", default="address"),
    "tiers": _counts(TIER, "the name of a tier (letters, digits, dots, hyphens and underscores)"),
    "regions": _counts(COUNTRY, "a country's two capital letters, or default"),
    "dry_run": flag(),
}

USER_FIELDS: Fields = {
    "source": Field("response_header or token", lambda value: value in ("response_header", "token"), required=True),
    "logged": flag(),
    "remember_seconds": whole(1, 86400, 300, " of seconds"),
    "user_header": text(HEADER, "the name of a header", "X-User-Id"),
    "tier_header": text(HEADER, "the name of a header", "X-User-Tier"),
    "credential_cookie": text(COOKIE, "the name of a cookie", ""),
    "algorithm": choice("HS256", "RS256", "ES256"),
    "cookie": text(COOKIE, "the name of a cookie", ""),
    "user_claim": Field("the name of a claim", lambda value: quotable(value) and value != "", "sub"),
    "tier_claim": Field("the name of a claim", lambda value: quotable(value) and value != "", "role"),
    "issuer": Field("the text of the claim iss", quotable, ""),
    "audience": Field("the text of the claim aud", quotable, ""),
}
_ONLY_OF = {
    "response_header": ("user_header", "tier_header", "credential_cookie"),
    "token": ("algorithm", "cookie", "user_claim", "tier_claim", "issuer", "audience"),
}


# Judging ---------------------------------------------------------------------------------------------------------


def findings(where: str, limits: Any, regions: bool) -> Iterator[str]:
    """Yield what is wrong with named limits; None instead of one removes the limit of that name.

    ``regions`` tells whether the edge has a database of countries.
    """
    if not isinstance(limits, Mapping):
        yield f"{where}: {limits!r}; expected a mapping of names and limits"
        return
    for name, limit in limits.items():
        place = f"{where}.{name}"
        if not isinstance(name, str) or not re.fullmatch(NAME, name) or name == CONNECTIONS:
            yield (
                f"{where}: {name!r} cannot be the name of a limit; expected a lower-case letter and up to 31 lower-case"
                f" letters, digits and _, and not {CONNECTIONS}"
            )
        if limit is None:
            continue
        if not isinstance(limit, Mapping):
            yield f"{place}: {limit!r}; expected a mapping with requests and seconds, or null to remove the limit"
            continue
        wrong = list(judge(place, limit, FIELDS))
        yield from wrong or _together(place, fill(limit, FIELDS), regions)


def _together(where: str, limit: Mapping[str, Any], regions: bool) -> Iterator[str]:
    if limit["kind"] == "window" and limit["burst"]:
        yield f"{where}.burst: {limit['burst']}; only buckets have a burst: remove it, or raise requests"
    if limit["tiers"] and limit["by"] != "user":
        yield f"{where}.tiers: tiers are of users; expected by: user besides"
    if limit["tiers"]:
        lower = [tier.lower() for tier in limit["tiers"]]
        for tier in sorted({tier for tier in lower if lower.count(tier) > 1}):
            yield f"{where}.tiers: {tier} is given {lower.count(tier)} times (case does not count); give it once"
    if limit["regions"] and limit["by"] != "address":
        yield f"{where}.regions: regions are of addresses; expected by: address"
    if limit["regions"] and not regions:
        yield (
            f"{where}.regions: this edge has no database of countries; expected nginx_geoip_database, the path of a"
            " GeoIP2 country database on the edge: set it, or remove regions"
        )
    if limit["kind"] == "bucket":
        for what, requests in (("requests", limit["requests"]), *_parts(limit)):
            if _per_minute(requests, limit["seconds"]) is None:
                yield (
                    f"{where}.{what}: a bucket of {requests} requests in {limit['seconds']} s; nginx counts buckets in"
                    " whole requests a minute or a second: choose such a rate, or kind: window"
                )


def _parts(limit: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for option in ("tiers", "regions"):
        for key, requests in (limit[option] or {}).items():
            yield f"{option}.{key}", requests


def _per_minute(requests: int, seconds: int) -> int | None:
    rate, rest = divmod(requests * 60, seconds)
    return None if rest else rate


def application_findings(
    where: str, application: Mapping[str, Any], limits: Any = None, regions: bool = False
) -> Iterator[str]:
    """Yield what is wrong with an application's ``limits`` and ``users``, and with the limits that its locations name.

    ``limits`` are the role's (``nginx_limits``).
    """
    own = application.get("limits")
    wrong = [] if own is None else list(findings(f"{where}.limits", own, regions))
    users = application.get("users")
    if users is not None:
        wrong += _users(f"{where}.users", users)
    if not wrong and not any(findings("", {} if limits is None else limits, regions)):
        wrong += _uses(where, application, merged(limits, own))
    yield from wrong


def _users(where: str, users: Any) -> Iterator[str]:
    if not isinstance(users, Mapping):
        yield f"{where}: {users!r}; expected a mapping with source"
        return
    yield from judge(where, users, USER_FIELDS)
    source = users.get("source")
    for other, options in _ONLY_OF.items():
        for option in options:
            if source in _ONLY_OF and other != source and users.get(option) is not None:
                yield f"{where}.{option}: only users of source {other} have it: remove it"
    if source == "token" and users.get("algorithm") is None:
        yield f"{where}.algorithm: missing; expected the one algorithm of the tokens: HS256, RS256 or ES256"
    headers = [str(users.get(option) or USER_FIELDS[option].default) for option in ("user_header", "tier_header")]
    if headers[0].lower() == headers[1].lower():
        yield f"{where}.tier_header: {headers[1]!r} is user_header as well; expected two headers"


def _uses(where: str, application: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    locations = application.get("locations") or []
    for index, location in enumerate(locations if isinstance(locations, Sequence) else []):
        names = location.get("limits") if isinstance(location, Mapping) else None
        if not isinstance(names, Sequence) or isinstance(names, str):
            continue
        place = f"{where}.locations[{index}].limits"
        names = [name for name in names if isinstance(name, str)]
        for name in names:
            if name not in known:
                yield f"{place}: no limit is named {name!r}; expected some of {', '.join(sorted(known)) or 'none'}"
            elif known[name]["by"] == "user" and application.get("users") is None:
                yield (
                    f"{place}: {name} is by user, but nothing tells whom a request is from; expected"
                    f" {where}.users with source: response_header or token"
                )
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{place}: {name} is given {names.count(name)} times; give it once"
        buckets = [name for name in dict.fromkeys(names) if name in known and known[name]["kind"] == "bucket"]
        dry = [name for name in buckets if known[name]["dry_run"]]
        if dry and dry != buckets:
            yield (
                f"{place}: of its buckets, {', '.join(dry)} only try out (dry_run) and others refuse; nginx does the"
                " one or the other in a location: give all the same dry_run, or make one a window"
            )


def key_findings(applications: Sequence[Mapping[str, Any]], keys: Any) -> Iterator[str]:
    """Yield what is wrong with ``nginx_token_keys``, without telling anything of a key."""
    if not isinstance(keys, Mapping):
        yield "nginx_token_keys: expected a mapping of names of applications and keys"
        return
    algorithms = {
        str(application.get("name")): str((application.get("users") or {}).get("algorithm"))
        for application in applications
        if isinstance(application.get("users") or {}, Mapping)
        and (application.get("users") or {}).get("source") == "token"
    }
    for name in keys:
        if name not in algorithms:
            yield f"nginx_token_keys.{name}: no application of that name has users of source token; remove it"
    for name, algorithm in algorithms.items():
        wanted = (
            f"a secret of at least {HS256_SECRET_BYTES} bytes (several: one a line)"
            if algorithm == "HS256"
            else f"the public key for {algorithm} in PEM (several: one after the other)"
        )
        if not keys.get(name):
            yield f"nginx_token_keys.{name}: missing; expected {wanted}"
        elif not isinstance(keys[name], str) or not _key_is_good(keys[name], algorithm):
            yield f"nginx_token_keys.{name}: is not what {name} needs; expected {wanted}"


def _key_is_good(key: str, algorithm: str) -> bool:
    if algorithm == "HS256":
        secrets = [line for line in re.split(r"[\r\n]+", key) if line]
        return (
            "-----BEGIN" not in key
            and secrets != []
            and all(len(line.encode()) >= HS256_SECRET_BYTES for line in secrets)
        )
    blocks = _PEM.findall(key)
    if not blocks or _PEM.sub("", key).strip():
        return False
    for label, body in blocks:
        try:
            data = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            return False
        if label != "PUBLIC KEY" or _OBJECT_IDS[algorithm] not in data[:40]:
            return False
    return True


# Completing ------------------------------------------------------------------------------------------------------


def merged(limits: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the limits of an application by name: its own over the role's over the built-in ones, complete."""
    named = {**BUILT_IN, **(limits or {}), **(own or {})}
    whole_ones = {name: fill(limit, FIELDS) for name, limit in named.items() if limit is not None}
    for limit in whole_ones.values():
        if limit["tiers"]:
            limit["tiers"] = {tier.lower(): requests for tier, requests in limit["tiers"].items()}
    return whole_ones


def complete(
    application: Mapping[str, Any],
    blocks: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any] | None = None,
    key: str = "",
) -> dict[str, Any]:
    """Return what the templates need of an application's limits.

    ``blocks`` are its locations; each comes back in ``locations`` with ``limit_directives`` (nginx's), ``windows``
    (names, for ``limits.lua``) and ``follows_answers`` (whether Lua must look at the headers of an answer). Names of
    built-in limits that were removed are passed over. Besides: ``zones`` (of ``limit_req_zone``, with the map for
    the key where users or addresses differ), ``bucket_waits`` (seconds until the buckets of a location surely let a
    request through), ``buckets`` (for the admin socket to tell), ``windows`` (settings of ``limits.lua``) and ``users``
    (complete, or None). ``key`` is the text of its token key, of which only some digits of a digest are told, so that
    nginx notices a change.
    """
    known = merged(limits, application.get("limits"))
    users = _completed_users(application.get("users"), known, key)
    locations: list[dict[str, Any]] = []
    used: dict[str, Mapping[str, Any]] = {}
    waits: dict[str, dict[str, Any]] = {}
    for block in blocks:
        named = {name: known[name] for name in block["limits"] if name in known}
        used.update(named)
        buckets = {name: limit for name, limit in named.items() if limit["kind"] == "bucket"}
        windows = [name for name, limit in named.items() if limit["kind"] == "window"]
        if buckets:
            waits[" ".join(buckets)] = _wait(application["name"], buckets)
        counted = bool(named) or block["kind"] not in ("health", "static")
        locations.append(
            {
                **block,
                "limit_directives": [
                    *_bucket_directives(application["name"], buckets),
                    *(_connections(application) if counted else []),
                ],
                "windows": windows,
                "follows_answers": bool(windows) or (users is not None and users["source"] == "response_header"),
            }
        )
    return {
        "locations": locations,
        "zones": [
            zone
            for name, limit in used.items()
            if limit["kind"] == "bucket"
            for zone in _zones(application["name"], name, limit)
        ],
        "bucket_waits": list(waits.values()),
        "buckets": {name: _told(limit) for name, limit in used.items() if limit["kind"] == "bucket"},
        "windows": {name: _told(limit) for name, limit in used.items() if limit["kind"] == "window"},
        "users": users,
    }


def _completed_users(users: Any, known: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    if users is None:
        return None
    found = fill(users, USER_FIELDS)
    for other, options in _ONLY_OF.items():
        if other != found["source"]:
            for option in options:
                del found[option]
    found["tiers"] = sorted({tier for limit in known.values() for tier in limit["tiers"] or {}} | {ANONYMOUS})
    if found["source"] == "token":
        # Whoever has a token of theirs could try out secrets as well as with this.
        found["key_digest"] = hmac.new(key.encode(), b"slipway", hashlib.sha256).hexdigest()[:12]
    return found


def _told(limit: Mapping[str, Any]) -> dict[str, Any]:
    return {
        option: limit[option]
        for option in ("requests", "seconds", "by", "tiers", "regions", "dry_run")
        if limit[option] is not None
    }


def _connections(application: Mapping[str, Any]) -> list[str]:
    most = application["connections_max"]
    return [f"limit_conn slipway.{application['name']}.connections {most};"] if most else []


def _bucket_directives(application: str, buckets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not buckets:
        return []
    lines = [f'set $slipway_buckets "{" ".join(buckets)}";']
    for name, limit in buckets.items():
        for zone in _zones(application, name, limit):
            burst = f" burst={limit['burst']}" if limit["burst"] else ""
            lines.append(f"limit_req zone={zone['name']}{burst} nodelay;")
    if all(limit["dry_run"] for limit in buckets.values()):
        lines.append("limit_req_dry_run on;")
    return lines


def _zones(application: str, name: str, limit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the zones of a bucket: one, or one for each tier or region, with an empty key for all others.

    A reload keeps the counts of a zone, and fails where a zone is to have another key: so its name tells its key.
    """
    base = f"slipway.{application}.{name}.{limit['by']}"
    counted = "$slipway_user" if limit["by"] == "user" else "$slipway_client"
    groups = dict(limit["tiers"] or limit["regions"] or {})
    if not groups:
        yield {"name": base, "key": counted, "rate": _rate(limit["requests"], limit["seconds"]), "values": {}}
        return
    what, source = ("tier", "$slipway_tier") if limit["tiers"] else ("region", "$slipway_country")
    rest = limit["requests"] if limit["tiers"] else groups.pop("default", limit["requests"])
    parts = [(f"{base}.{what}.{group}", groups[group], {_map_word(group): counted}) for group in sorted(groups)]
    others = {"default": counted, **{_map_word(group): '""' for group in sorted(groups)}}
    for zone, requests, values in [*parts, (f"{base}.{what}s", rest, others)]:
        yield {
            "name": zone,
            "key": _variable("key", zone),
            "rate": _rate(requests, limit["seconds"]),
            "source": source,
            "values": values,
        }


def _map_word(word: str) -> str:
    """A value in the first column of nginx's ``map``, where some words mean something else."""
    return f'"\\{word}"' if word in _MAP_WORDS else f'"{word}"'


def _variable(kind: str, what: str) -> str:
    """A variable of nginx whose name follows from what it is for, whatever characters that has."""
    return f"$slipway_{kind}_{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def _rate(requests: int, seconds: int) -> str:
    minute = _per_minute(requests, seconds)
    if minute is None:
        raise ValueError(f"a bucket of {requests} requests in {seconds} s is no whole number of requests a minute")
    return f"{minute // 60}r/s" if minute % 60 == 0 else f"{minute}r/m"


def bucket_wait_seconds(requests: int, seconds: int) -> int:
    """Return the whole seconds after which a full bucket surely lets one request through.

    nginx keeps a rate as thousandths of a request a second, rounded down (``ngx_http_limit_req_module.c``).
    """
    minute = _per_minute(requests, seconds) or 1
    thousandths = minute // 60 * 1000 if minute % 60 == 0 else minute * 1000 // 60
    return max(1, -(-1000 // thousandths))


def _wait(application: str, buckets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The wait for a location's buckets, of which nginx does not tell which one was full: the longest of them."""
    by_tier = any(limit["tiers"] for limit in buckets.values())
    option = "tiers" if by_tier else "regions"
    groups = {group for limit in buckets.values() for group in limit[option] or {}} - {"default"}
    if by_tier:
        groups = {group for limit in buckets.values() for group in limit["tiers"] or {}}

    def wait(group: str) -> int:
        return max(bucket_wait_seconds(_slowest(limit, option, group), limit["seconds"]) for limit in buckets.values())

    seconds = wait("")
    names = " ".join(buckets)
    values = {_map_word(group): wait(group) for group in sorted(groups) if wait(group) != seconds}
    return {
        "buckets": names,
        "variable": _variable("wait", f"{application} {names}"),
        "seconds": seconds,
        "source": "$slipway_tier" if by_tier else "$slipway_country",
        "values": values,
    }


def _slowest(limit: Mapping[str, Any], option: str, group: str) -> int:
    """The requests that a limit allows a tier or country, or the fewest where it goes by something else."""
    requests = int(limit["requests"])
    if limit["tiers"]:
        return int(limit["tiers"].get(group, requests))
    if not limit["regions"]:
        return requests
    rest = int(limit["regions"].get("default", requests))
    return int(limit["regions"].get(group, rest)) if option == "regions" else min(rest, *limit["regions"].values())
