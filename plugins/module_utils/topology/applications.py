# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fields of an entry of ``slipway_apps``: their types, defaults and limits, declared once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..health.specification import SpecificationError, parse_checks
from ..nginx.applications import FIELDS as SERVED_FIELDS
from ..nginx.fields import judge
from .model import MAX_INSTANCES, Application, Database

NAME = re.compile(r"^[a-z][a-z0-9_]{0,22}$")
"""Names of applications: a user, a unit and a database are named after them."""
RELEASE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
SHA256 = re.compile(r"^[0-9a-f]{64}$")
URL_PATH = re.compile(r"^/[^\s;{}'\"]*$")


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field; ``field`` is its path below ``slipway_apps``."""

    field: str
    received: str
    expected: str
    fix: str


@dataclass(frozen=True)
class Field:
    """One field: what it accepts, in words and as a predicate, and its default (None: no default)."""

    expected: str
    accepts: Callable[[Any], bool]
    default: Any = None
    required: bool = False
    keys: Mapping[str, Field] | None = None


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _integer(low: int, high: int, unit: str = "", default: int | None = None) -> Field:
    return Field(f"a whole number{unit} from {low} to {high}", _is_int(low, high), default)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(accepts(item) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_scalar_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and (item is None or isinstance(item, (str, int, float, bool)))
        for key, item in value.items()
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


RUNTIME_FIELDS: Mapping[str, Field] = {
    "name": Field("node, python or none", lambda value: value in ("node", "python", "none"), "none"),
    "packages": Field("a list of package names", _list_of(_is_text), ()),
    "version_min": Field('a version in quotes, such as "18"', _is_text),
}

DATABASE_FIELDS: Mapping[str, Field] = {
    "name": Field("a database name: a letter, then letters, digits and _", _matches(NAME)),
    "extensions": Field("a list of extension names", _list_of(_is_text), ()),
}

CERTIFICATE_FIELDS: Mapping[str, Field] = {
    "certificate_file": Field("the path of a PEM file on the controller", _is_text, required=True),
    "key_file": Field("the path of a PEM file on the controller", _is_text, required=True),
    "ca_file": Field("the path of a PEM file on the controller", _is_text, ""),
}

PERCENT = re.compile(r"^(?:[1-9][0-9]?|100)%$")

MIGRATION_FIELDS: Mapping[str, Field] = {
    "command": Field("a list: the program and its arguments", _list_of(_is_text)),
    "contract_command": Field("a list: the program and its arguments", _list_of(_is_text)),
    "seed_command": Field("a list: the program and its arguments", _list_of(_is_text)),
    "files": Field("a pattern of paths in the release, such as migrations/*.sql", _is_text),
    "timeout_seconds": _integer(1, 86400, " of seconds", 600),
    "lock_timeout_ms": _integer(1, 600000, " of milliseconds", 1000),
}

DEPLOY_FIELDS: Mapping[str, Field] = {
    "strategy": Field("rolling or maintenance", lambda value: value in ("rolling", "maintenance")),
    "batch": Field(
        'a whole number of hosts from 1 up, or a share of them such as "25%"',
        lambda value: _is_int(1, 10000)(value) or _matches(PERCENT)(value),
        1,
    ),
    # Above the seconds after which nginx closes its idle connections.
    "drain_seconds": _integer(5, 86400, " of seconds", 30),
    "soak_seconds": _integer(0, 86400, " of seconds", 10),
    "announce_seconds": _integer(0, 604800, " of seconds", 0),
    "rollback": Field("fleet or batch", lambda value: value in ("fleet", "batch"), "fleet"),
    "windows": Field("a list of windows", _list_of(lambda item: isinstance(item, Mapping)), ()),
    "migrations": Field("a mapping", lambda value: isinstance(value, Mapping), keys=MIGRATION_FIELDS),
}
"""How releases are brought to an application. Without ``strategy``, it follows from ``single_instance``."""

EDGE_OPTIONS = tuple(
    name
    for name in SERVED_FIELDS
    if name not in ("name", "kind", "members", "single_instance", "certificate", "certificate_key")
)
"""Fields that the role ``nginx`` takes as they are, with its own defaults; its core judges them."""

APP_FIELDS: Mapping[str, Field] = {
    "group": Field("the name of an inventory group", _is_text, required=True),
    "kind": Field("http, websocket or worker", lambda value: value in ("http", "websocket", "worker"), "http"),
    # An unprivileged program cannot listen below 1024.
    "port": _integer(1024, 65535),
    "instances": Field(
        f"a whole number from 1 to 64, or {MAX_INSTANCES}",
        lambda value: value == MAX_INSTANCES or _is_int(1, 64)(value),
        MAX_INSTANCES,
    ),
    "single_instance": Field("true or false", _is_flag, False),
    "command": Field("a list: the program and its arguments", _list_of(_is_text), required=True),
    "runtime": Field("a mapping", lambda value: isinstance(value, Mapping), keys=RUNTIME_FIELDS),
    "release": Field(
        "1 to 64 letters, digits, dots, dashes and underscores, the first a letter or digit", _matches(RELEASE)
    ),
    "artifact": Field(
        "the path of a tarball on the controller, or a source with its type (see the module artifact)",
        lambda value: _is_text(value) or (isinstance(value, Mapping) and _is_text(value.get("type"))),
    ),
    "artifact_sha256": Field("64 hexadecimal digits", _matches(SHA256)),
    "certificate": Field(
        "own, acme, or a mapping with certificate_file and key_file",
        lambda value: value in ("own", "acme") or isinstance(value, Mapping),
        "own",
    ),
    "readiness_path": Field("a URL path that starts with /", _matches(URL_PATH), "/readyz"),
    "health_checks": Field(
        "a list of mappings with path, and options of http checks",
        _list_of(lambda item: isinstance(item, Mapping)),
        (),
    ),
    "environment": Field("a mapping of names to strings or numbers", _is_scalar_mapping, {}),
    "required_environment": Field(
        "a list of names, or of mappings with name and min_length",
        _list_of(lambda item: _is_text(item) or isinstance(item, Mapping)),
        (),
    ),
    "environment_one_of": Field("a list of lists of names", _list_of(_list_of(_is_text)), ()),
    "memory_limit_mb": _integer(32, 1048576, " of MB", 2048),
    "restart_delay_seconds": _integer(0, 3600, " of seconds", 4),
    "stop_timeout_seconds": _integer(1, 86400, " of seconds", 30),
    "start_timeout_seconds": _integer(1, 3600, " of seconds", 60),
    "heartbeat_seconds": _integer(0, 86400, " of seconds", 0),
    "deploy": Field("a mapping", lambda value: isinstance(value, Mapping), keys=DEPLOY_FIELDS),
    "database": Field(
        "true, false, or a mapping with name and extensions", lambda value: isinstance(value, (bool, Mapping)), False
    ),
    "redis": Field("true or false", _is_flag, False),
    **{name: Field("what the edge can serve", lambda value: True) for name in EDGE_OPTIONS},
}


FIXED_BY_INSTANCE = frozenset(("type", "url", "host", "connect_to", "application", "part"))
"""Options of an http check that follow from the instance that it asks."""


def near(name: str, known: Mapping[str, Any] | frozenset[str]) -> str | None:
    """The known name that `name` is probably a slip of, or None."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return close[0] if close else None


def _unknown_key(path: str, key: str, known: Mapping[str, Field]) -> Problem:
    meant = near(key, known)
    return Problem(
        f"{path}.{key}",
        key,
        "one of " + ", ".join(sorted(known)),
        f"write {meant}" if meant else f"remove {key}",
    )


def _field_problems(path: str, entry: Mapping[str, Any], fields: Mapping[str, Field]) -> Iterator[Problem]:
    for key in entry:
        if key not in fields:
            yield _unknown_key(path, str(key), fields)
    for key, field in fields.items():
        where = f"{path}.{key}"
        value = entry.get(key)
        if value is None:
            if field.required:
                yield Problem(where, "nothing", field.expected, f"give {where}")
        elif not field.accepts(value):
            yield Problem(where, repr(value), field.expected, f"correct {where}")
        elif field.keys is not None:
            for index, item in enumerate(value if isinstance(value, (list, tuple)) else [value]):
                below = f"{where}[{index}]" if isinstance(value, (list, tuple)) else where
                yield from _field_problems(below, item, field.keys)


def _alternative_problems(path: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Of fields that are a mapping or something simpler."""
    for key, fields in (("database", DATABASE_FIELDS), ("certificate", CERTIFICATE_FIELDS)):
        if isinstance(entry.get(key), Mapping):
            yield from _field_problems(f"{path}.{key}", entry[key], fields)


def _edge_problems(name: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    given = {key: entry[key] for key in EDGE_OPTIONS if entry.get(key) is not None}
    if entry.get("kind") == "worker":
        for key in given:
            yield Problem(f"{name}.{key}", key, "no place at the edge for a worker", f"remove {name}.{key}")
        return
    fields = {key: SERVED_FIELDS[key] for key in EDGE_OPTIONS}
    yield from (told(text) for text in judge(name, given, fields))


def _health_problems(name: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    checks = entry.get("health_checks") or ()
    if not APP_FIELDS["health_checks"].accepts(checks):
        return
    if checks and entry.get("kind") == "worker":
        yield Problem(
            f"{name}.health_checks",
            f"{len(checks)} checks",
            "none for a worker, which listens nowhere",
            "give worker heartbeat_seconds, or the check in slipway_health_checks",
        )
        return
    for index, check in enumerate(checks):
        where = f"{name}.health_checks[{index}]"
        if not _matches(URL_PATH)(check.get("path")):
            yield Problem(
                f"{where}.path", repr(check.get("path")), "a URL path that starts with /", f"give {where}.path"
            )
            continue
        for key in sorted(set(check) & FIXED_BY_INSTANCE):
            yield Problem(f"{where}.{key}", key, "what the instance does not say itself", f"remove {where}.{key}")
        options = {key: value for key, value in check.items() if key != "path" and key not in FIXED_BY_INSTANCE}
        try:
            parse_checks([{"type": "http", "url": f"http://localhost{check['path']}", **options}])
        except SpecificationError as error:
            for line in error.problems:
                text = line.partition(": ")[2]
                yield Problem(where, repr(check["path"]), f"an http check that can run: {text}", f"correct {where}")


def told(text: str) -> Problem:
    """A finding of the edge's core, ``where: received; expected form``, as a problem."""
    where, _colon, rest = text.partition(": ")
    received, _semicolon, wanted = rest.partition("; ")
    return Problem(where, received, wanted.replace("expected ", "", 1) or "what the edge can serve", f"correct {where}")


def problems(name: str, entry: Any) -> tuple[Problem, ...]:
    """Everything that is wrong with one entry of ``slipway_apps``."""
    if not NAME.fullmatch(str(name)):
        return (
            Problem(
                str(name),
                str(name),
                "a name of 1 to 23 lower-case letters, digits and underscores, the first a letter",
                "rename the application",
            ),
        )
    if not isinstance(entry, Mapping):
        return (Problem(name, repr(entry), "a mapping", f"describe the application {name} as a mapping"),)
    found = [
        *_field_problems(name, entry, APP_FIELDS),
        *_alternative_problems(name, entry),
        *_edge_problems(name, entry),
        *(
            _health_problems(name, entry)
            if APP_FIELDS["health_checks"].accepts(entry.get("health_checks") or ())
            else ()
        ),
    ]
    kind = entry.get("kind", APP_FIELDS["kind"].default)
    if kind in ("http", "websocket") and entry.get("port") is None:
        found.append(Problem(f"{name}.port", "nothing", f"a port, as {kind} needs one", f"give {name}.port"))
    if kind == "worker" and entry.get("port") is not None:
        found.append(
            Problem(
                f"{name}.port", repr(entry["port"]), "no port for a worker", f"remove {name}.port, or change its kind"
            )
        )
    instances = entry.get("instances", APP_FIELDS["instances"].default)
    if entry.get("single_instance") is True and "instances" in entry and instances not in (1, MAX_INSTANCES):
        found.append(
            Problem(
                f"{name}.instances",
                repr(instances),
                "1, since single_instance says that the program keeps its state in its memory",
                "remove instances, or share the state (Redis pub/sub) and remove single_instance",
            )
        )
    deploy = entry.get("deploy")
    if entry.get("single_instance") is True and isinstance(deploy, Mapping) and deploy.get("strategy") == "rolling":
        found.append(
            Problem(
                f"{name}.deploy.strategy",
                "rolling",
                "maintenance, since single_instance says that the program keeps its state in its memory: the old and"
                " the new one would each have a part of it",
                "remove strategy, or share the state (Redis pub/sub) and remove single_instance",
            )
        )
    first_release = ("release", "artifact", "artifact_sha256")
    lacking = [key for key in first_release if entry.get(key) is None]
    # A source other than a tarball says itself what release it is.
    if 0 < len(lacking) < len(first_release) and not isinstance(entry.get("artifact"), Mapping):
        found += [
            Problem(f"{name}.{key}", "nothing", f"{', '.join(first_release)} together", f"give {name}.{key}")
            for key in lacking
        ]
    return tuple(found)


def _filled(entry: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    return {key: field.default if entry.get(key) is None else entry[key] for key, field in fields.items()}


def parse(name: str, entry: Mapping[str, Any]) -> Application:
    """One valid entry as an :class:`Application`; call :func:`problems` first."""
    spec = _filled(entry, APP_FIELDS)
    spec["runtime"] = _filled(spec["runtime"] or {}, RUNTIME_FIELDS)
    spec["deploy"] = _filled(spec["deploy"] or {}, DEPLOY_FIELDS)
    spec["deploy"]["migrations"] = _filled(spec["deploy"]["migrations"] or {}, MIGRATION_FIELDS)
    database: Database | None = None
    if spec["database"]:
        given = _filled(spec["database"] if isinstance(spec["database"], Mapping) else {}, DATABASE_FIELDS)
        database = Database(given["name"] or name, name, tuple(given["extensions"]))
    return Application(
        name=name,
        group=spec["group"],
        kind=spec["kind"],
        port=spec["port"],
        instances=spec["instances"],
        single_instance=spec["single_instance"],
        database=database,
        redis=spec["redis"],
        memory_limit_chosen=entry.get("memory_limit_mb") is not None,
        spec=spec,
    )
