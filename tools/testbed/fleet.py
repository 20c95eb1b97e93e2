"""Fleet files: which test hosts are wanted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import BedError

RELEASES = ("bookworm", "trixie")
DEFAULT_RELEASE = "trixie"
DEFAULT_MEMORY_MB = 1024
# Below this systemd, SSH and a package installation do not fit together.
MINIMUM_MEMORY_MB = 128
# Addresses 10 to 250 of a /24.
MAXIMUM_HOSTS = 241

# Container names are slipway-FLEET-HOST and host names are DNS labels. A fleet name has no dash, so that
# fleet "a" with host "b-c" can not claim the container of fleet "a-b" with host "c".
_FLEET_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_HOST_NAME = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class HostSpec:
    """One host as the fleet file describes it."""

    name: str
    release: str
    memory_mb: int


@dataclass(frozen=True)
class Fleet:
    """A named set of hosts, in the order of the fleet file."""

    name: str
    hosts: tuple[HostSpec, ...]


def load(path: Path) -> Fleet:
    """Read a fleet file.

    Raises BedError where the file can not be read or does not describe a fleet.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BedError(f"{path}: can not read the fleet file: {error.strerror}.") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Fleet:
    """Parse the text of a fleet file; ``source`` names it in errors."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BedError(f"{source}: not valid YAML: {error}") from error
    fleet = _mapping(data, source, {"name", "hosts"})
    name = fleet.get("name")
    if not isinstance(name, str) or not _FLEET_NAME.fullmatch(name):
        raise BedError(
            f"{source}: name: got {name!r}, expected 1 to 32 lower-case letters, digits or underscores, "
            "the first a letter."
        )
    hosts = fleet.get("hosts")
    if not isinstance(hosts, Mapping) or not hosts:
        raise BedError(f"{source}: hosts: got {hosts!r}, expected a mapping with at least one host name.")
    if len(hosts) > MAXIMUM_HOSTS:
        raise BedError(f"{source}: hosts: got {len(hosts)}, expected at most {MAXIMUM_HOSTS}.")
    return Fleet(name, tuple(_host(key, value, source) for key, value in hosts.items()))


def _host(name: Any, data: Any, source: str) -> HostSpec:
    if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
        raise BedError(
            f"{source}: hosts: got the name {name!r}, expected 1 to 32 lower-case letters, digits or dashes, "
            "the first a letter, the last no dash."
        )
    where = f"{source}: hosts.{name}"
    host = _mapping({} if data is None else data, where, {"release", "memory_mb"})
    release = host.get("release", DEFAULT_RELEASE)
    if release not in RELEASES:
        raise BedError(f"{where}.release: got {release!r}, expected one of {', '.join(RELEASES)}.")
    memory_mb = host.get("memory_mb", DEFAULT_MEMORY_MB)
    if not isinstance(memory_mb, int) or isinstance(memory_mb, bool) or memory_mb < MINIMUM_MEMORY_MB:
        raise BedError(
            f"{where}.memory_mb: got {memory_mb!r}, expected a whole number of MiB, {MINIMUM_MEMORY_MB} or more."
        )
    return HostSpec(name, release, memory_mb)


def _mapping(data: Any, where: str, allowed: set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise BedError(f"{where}: got {data!r}, expected a mapping with the keys {', '.join(sorted(allowed))}.")
    for key in data:
        if key not in allowed:
            raise BedError(f"{where}: unknown key {key!r}, expected only {', '.join(sorted(allowed))}.")
    return data
