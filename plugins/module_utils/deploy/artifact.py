# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an artifact comes from, what it is called, and what is wrong with how that was asked for."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .release import SHA256

COMMIT = re.compile(r"[0-9a-f]{40}\Z")
SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}\Z")
ID_LENGTH = 12
"""How many hexadecimal digits of a checksum or commit stand for it in a release's id."""

FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tarball": (("path",), ()),
    "directory": (("path",), ()),
    "git": (("repository",), ("ref",)),
    "npm": (("package",), ("version", "registry")),
    "s3": (
        ("bucket", "key"),
        ("region", "endpoint_url", "ca_file", "profile", "access_key", "secret_key", "session_token"),
    ),
}
"""By type of source: what has to be given, and what may be."""

_FORMAT = 1
"""Grows when the same sources come to give other bytes."""


class ArtifactError(ValueError):
    """There is no artifact as it was asked for; the message says why and what to do."""


@dataclass(frozen=True)
class Request:
    """An artifact to have.

    ``source`` has the fields of its ``type`` that were given. ``sha256`` is of the archive for a tarball and S3 when
    nothing is built of it, and of what is packed otherwise. ``build`` are commands that run in a copy of the source,
    ``subdirectory`` is what of it is packed ("" for all), ``exclude`` are names that are left out wherever they are.
    """

    type: str
    source: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    build: tuple[tuple[str, ...], ...] = ()
    subdirectory: str = ""
    exclude: tuple[str, ...] = ()

    @property
    def as_it_is(self) -> bool:
        """Whether the source is an archive, and that is the artifact."""
        return self.type in ("tarball", "s3") and not self.build and not self.subdirectory


def parse_request(
    source: Mapping[str, Any],
    *,
    sha256: str | None,
    build: Sequence[Any],
    subdirectory: str | None,
    exclude: Sequence[str],
) -> Request:
    """Return the request as the options give it.

    Raises:
        ArtifactError: naming the option, the value received and the form expected.
    """
    kind = str(source["type"])
    given = {name: str(value) for name, value in source.items() if name != "type" and value is not None}
    needed, possible = FIELDS[kind]
    for name in needed:
        if not given.get(name):
            raise ArtifactError(f"source.{name}: is missing; a source of type {kind} needs {' and '.join(needed)}")
    for name in sorted(set(given) - {*needed, *possible}):
        takes = ", ".join((*needed, *possible))
        raise ArtifactError(f"source.{name}: does not belong to a source of type {kind}, which takes {takes}")
    _check_words(given)
    if sha256 is not None:
        sha256 = sha256.lower()
        if not SHA256.match(sha256):
            raise ArtifactError(f"sha256: {sha256!r} is not a checksum; expected 64 hexadecimal digits, from sha256sum")
    names = tuple(sorted({*exclude, ".git"} if kind == "git" else set(exclude)))
    for name in names:
        if not name or "/" in name:
            raise ArtifactError(
                f"exclude: {name!r} is not a name; expected names of files or directories, such as .git"
            )
    return Request(kind, given, sha256, parse_build(build), parse_subdirectory(subdirectory or ""), names)


def _check_words(given: Mapping[str, str]) -> None:
    """Refuse what a program would take for an option, and secrets that its command line would show."""
    for name in ("repository", "ref", "package", "version", "registry"):
        value = given.get(name, "")
        if value.startswith("-") or any(ord(sign) < 32 for sign in value):
            raise ArtifactError(f"source.{name}: {value!r} is not usable; it begins with '-' or has control characters")
    for name in ("repository", "registry", "endpoint_url"):
        if "://" in given.get(name, "") and urlsplit(given[name]).password:
            raise ArtifactError(
                f"source.{name}: the URL holds a password, which every process list would show; leave it out and use"
                " a credential helper, an SSH key or the program's own configuration"
            )
    if ("access_key" in given) != ("secret_key" in given):
        raise ArtifactError(
            "source: access_key and secret_key belong together; give both, or neither to use the"
            " environment (AWS_ACCESS_KEY_ID) or a profile"
        )


def parse_build(build: Sequence[Any]) -> tuple[tuple[str, ...], ...]:
    """Return the commands of a build.

    Raises:
        ArtifactError: when one is something else than a list of words.
    """
    for number, command in enumerate(build, 1):
        words = isinstance(command, (list, tuple)) and all(isinstance(word, (str, int, float)) for word in command)
        if not words or not command or not str(command[0]):
            raise ArtifactError(
                f"build: step {number} is {command!r}; expected a list of words, such as [npm, run, build]"
            )
    return tuple(tuple(str(word) for word in command) for command in build)


def parse_subdirectory(subdirectory: str) -> str:
    """Return what of the source is packed, relative to its top; "" for all.

    Raises:
        ArtifactError: when it is absolute or outside.
    """
    place = posixpath.normpath(subdirectory) if subdirectory else "."
    if place.startswith("/") or place == ".." or place.startswith("../"):
        raise ArtifactError(
            f"subdirectory: {subdirectory!r} is not usable; expected a directory inside the source, such as dist"
        )
    return "" if place == "." else place


def key_of(request: Request, identity: str) -> str:
    """Return the checksum that stands for what goes into an artifact: the same key, the same artifact.

    ``identity`` stands for the content of the source: a commit, a checksum.
    """
    parts = [_FORMAT, request.type, identity, request.build, request.subdirectory, request.exclude]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def release_of(request: Request, identity: str, version: str | None = None) -> str:
    """Return a release's id for an artifact: the short commit, npm's version, or a part of a checksum."""
    if request.type == "git":
        return identity[:ID_LENGTH]
    if version is not None:
        # What npm calls a version may have a sign, for the build, that an id may not.
        return re.sub(r"[^A-Za-z0-9._-]", "-", version)[:64]
    return (identity if request.as_it_is else key_of(request, identity))[:ID_LENGTH]


def artifact_name(request: Request, identity: str, release: str) -> str:
    """Return the name of the artifact's file in the cache."""
    if request.as_it_is:
        # Of any compression, so it keeps its own name.
        return f"{release}-{re.sub(r'[^A-Za-z0-9._-]', '-', posixpath.basename(request.source['key']))}"
    return f"{release}-{key_of(request, identity)[:ID_LENGTH]}.tar.gz"


def parse_refs(text: str, ref: str) -> str | None:
    """Return the commit that ``git ls-remote`` names for a tag, a branch or a full reference, in this order."""
    found = {}
    for line in text.splitlines():
        commit, _tab, name = line.partition("\t")
        found[name] = commit
    # A tag with a text of its own points to a commit by way of an object: ^{} is the commit.
    places = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}", ref)
    return next((found[place] for place in places if place in found), None)


def check_sum(path: str, found: str, wanted: str | None) -> None:
    """Compare two checksums.

    Raises:
        ArtifactError: naming both.
    """
    if wanted is not None and found != wanted:
        raise ArtifactError(
            f"sha256: {path} has the SHA-256 checksum {found}, but {wanted} was expected; it is damaged or another"
            " file: get it again, or correct sha256"
        )
