# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The static files of several releases of one application on one edge: what is kept, and the steps to what is wanted.

``releases/<id>/`` holds the files of each kept release, ``files/`` the union of them, as hard links. A page of the old
release finds its files while the new one is being rolled out and long after. For a path that several releases have, the
one that arrived last wins.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

from .release import RECORD_NAME, RELEASE_ID, SHA256, Clean, Drop, ReleaseError

NEW = "new:"
"""Beginning of the identity of a file that is only in the archive yet."""

PATHS_SHOWN = 200
"""How many paths a difference names."""


@dataclass(frozen=True)
class Kept:
    """A release on the host.

    ``sequence`` grows by one with each release that arrives; 1 is the first. ``stored_at`` is in seconds since the
    epoch and the modification time of the files that came with it. ``files`` are the identities of its files by their
    paths: two paths of one identity are one file on the disk.
    """

    release: str
    sha256: str
    sequence: int
    stored_at: int
    directories: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Store:
    """What is on the host. ``files`` are the identities of what is below files/, by path.

    ``debris`` are paths that an interrupted run left behind; ``foreign`` are names under releases/ without a record.
    """

    kept: tuple[Kept, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    debris: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def find(self, release: str) -> Kept | None:
        """Return the kept release of that name, or None."""
        return next((item for item in self.kept if item.release == release), None)

    @property
    def newest_first(self) -> tuple[Kept, ...]:
        """The kept releases, the one that arrived last first."""
        return tuple(sorted(self.kept, key=lambda item: item.sequence, reverse=True))


@dataclass(frozen=True)
class Wanted:
    """A release to have (``present``) or not to have.

    ``sha256`` is known when an archive is at hand; ``files`` when it could be read, with the identity of the file below
    files/ where the content is the same. ``keep`` is how many releases, at least 1, stay, and this one in any case.
    With ``renew``, a release that is kept already counts as having arrived last.
    """

    release: str
    present: bool = True
    sha256: str | None = None
    directories: tuple[str, ...] = ()
    keep: int = 5
    renew: bool = False
    files: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Add:
    """Unpack the directories of the archive as this release, in the place of an earlier unpacking of it."""

    release: str
    sha256: str
    sequence: int
    directories: tuple[str, ...]


@dataclass(frozen=True)
class Renew:
    """Let a kept release count as having arrived last."""

    release: str
    sequence: int


@dataclass(frozen=True)
class Link:
    """Let files/``path`` be what the release has there."""

    path: str
    release: str


@dataclass(frozen=True)
class Unlink:
    """Remove files/``path``, which no kept release has."""

    path: str


Step = Union[Clean, Add, Renew, Link, Drop, Unlink]


def parse_wanted(
    release: str,
    *,
    present: bool,
    src: str | None,
    sha256: str | None,
    directories: Sequence[str],
    keep: int,
    renew: bool,
) -> Wanted:
    """Return the request as the options give it.

    Raises:
        ReleaseError: naming the option, the value received and the form expected.
    """
    if not RELEASE_ID.match(release):
        raise ReleaseError(
            f"release: {release!r} is not a release id; expected 1 to 64 letters, digits, '.', '_' or '-', beginning"
            " with a letter or digit, such as 2025-06-01.1"
        )
    if keep < 1:
        raise ReleaseError(f"keep: {keep} is out of range; expected 1 or more releases to keep")
    if present and not directories:
        raise ReleaseError(
            "directories: is empty; expected the directories of the release whose files are to be served, such as"
            " [public, .next/static]"
        )
    if src is not None and sha256 is None:
        raise ReleaseError(
            f"sha256: is missing; expected the SHA-256 checksum of {src} (64 hexadecimal digits, from sha256sum)"
        )
    if sha256 is not None:
        sha256 = sha256.lower()
        if not SHA256.match(sha256):
            raise ReleaseError(f"sha256: {sha256!r} is not a checksum; expected 64 hexadecimal digits, from sha256sum")
    places = tuple(sorted({parse_directory(directory) for directory in directories}))
    return Wanted(release, present, sha256, places, keep, renew)


def parse_directory(directory: str) -> str:
    """Return a directory of a release in its shortest form.

    Raises:
        ReleaseError: when it is the release as a whole, absolute, or outside of it.
    """
    place = posixpath.normpath(directory) if directory else ""
    outside = place.startswith("/") or ".." in directory.split("/") or any(ord(sign) < 32 for sign in directory)
    if place in ("", ".") or outside:
        raise ReleaseError(
            f"directories: {directory!r} is not usable; expected a directory inside the release, such as public or"
            " .next/static (never the whole release: clients could read the program)"
        )
    return place


def is_below(path: str, directories: Iterable[str]) -> bool:
    """Tell whether a path of a release is one of these directories or below one of them."""
    return any(path == directory or path.startswith(f"{directory}/") for directory in directories)


def parents(path: str) -> Iterator[str]:
    """Give every directory above a relative path, the nearest first."""
    while path := posixpath.dirname(path):
        yield path


def parse_record(text: str) -> Kept:
    """Return the release that a record describes, without its files.

    Raises:
        ReleaseError: when the text is not a record.
    """
    try:
        raw = json.loads(text)
        directories = tuple(str(directory) for directory in raw["directories"])
        return Kept(str(raw["id"]), str(raw["sha256"]), int(raw["sequence"]), int(raw["stored_at"]), directories)
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"not a record of a release's assets: {error}") from error


def render_record(kept: Kept) -> str:
    """Return the record of a release as the text of its file."""
    fields = {
        "id": kept.release,
        "sha256": kept.sha256,
        "sequence": kept.sequence,
        "stored_at": kept.stored_at,
        "directories": list(kept.directories),
    }
    return json.dumps(fields, indent=2) + "\n"


def union(kept: Iterable[Kept]) -> dict[str, Kept]:
    """Return, for each path that is to be below files/, the release whose file it is to be.

    Of a path that is a file in one release and a directory in another, the newer release's kind is taken.
    """
    places: dict[str, Kept] = {}
    folders: set[str] = set()
    for item in sorted(kept, key=lambda item: item.sequence, reverse=True):
        for path in item.files:
            if path not in places and path not in folders and not any(above in places for above in parents(path)):
                places[path] = item
                folders.update(parents(path))
    return places


def plan(store: Store, wanted: Wanted) -> tuple[Step, ...]:
    """Return the steps to what is wanted, in order. Planning again after they were done gives no steps.

    What a new release brings is linked before anything goes. While the files in the archive are unknown, only the steps
    on releases are foreseen.

    Raises:
        ReleaseError: when the release is kept from another archive, has to be unpacked and no archive is given, or is
            in the way of a directory that is not a release.
    """
    steps: list[Step] = [Clean(path) for path in store.debris]
    change = _change(store, wanted)
    if change is not None:
        steps.append(change)
    then = predict(store, steps, wanted.files)
    surplus = [item.release for item in then.newest_first[wanted.keep :] if item.release != wanted.release]
    drops: list[Step] = [Drop(release, "prune") for release in surplus]
    if not wanted.present and store.find(wanted.release):
        drops.append(Drop(wanted.release, "remove"))
    if isinstance(change, Add) and wanted.files is None:
        return (*steps, *drops)
    kept = predict(then, drops).kept
    places = union(kept)
    in_the_way, surplus_files = _leftovers(store.files, places)
    links = [
        Link(path, item.release) for path, item in sorted(places.items()) if store.files.get(path) != item.files[path]
    ]
    return (*steps, *map(Unlink, in_the_way), *links, *drops, *map(Unlink, surplus_files))


def _change(store: Store, wanted: Wanted) -> Add | Renew | None:
    """Return the step that makes the wanted release be there, as the newest where that is asked for."""
    if not wanted.present:
        return None
    if wanted.release in store.foreign:
        raise ReleaseError(
            f"releases/{wanted.release} is there but has no {RECORD_NAME}, so it was not stored by this module;"
            " move it away or choose another release id"
        )
    kept = store.find(wanted.release)
    newest = max((item.sequence for item in store.kept), default=0)
    if kept is not None and wanted.sha256 is not None and kept.sha256 != wanted.sha256:
        raise ReleaseError(
            f"release {wanted.release} is already kept from an archive with SHA-256 {kept.sha256}, but now"
            f" {wanted.sha256} is given; a release id stands for one archive for ever, so choose a new id"
        )
    lacking = [] if kept is None else [path for path in wanted.directories if not is_below(path, kept.directories)]
    if kept is not None and not lacking:
        return Renew(wanted.release, newest + 1) if wanted.renew and kept.sequence < newest else None
    if wanted.sha256 is None:
        what = f"without {', '.join(lacking)}" if lacking else "not"
        raise ReleaseError(
            f"release {wanted.release} is {what} kept on this host; give its archive with src and sha256"
        )
    sequence = kept.sequence if kept is not None and not wanted.renew else newest + 1
    return Add(wanted.release, wanted.sha256, sequence, wanted.directories)


def _leftovers(files: Iterable[str], places: Mapping[str, Kept]) -> tuple[list[str], list[str]]:
    """Return what no kept release has: what is a file where a directory is to be or the reverse, and the rest."""
    folders = {above for path in places for above in parents(path)}
    in_the_way: list[str] = []
    others: list[str] = []
    for path in sorted(files):
        if path not in places:
            clashes = path in folders or any(above in places for above in parents(path))
            (in_the_way if clashes else others).append(path)
    return in_the_way, others


def predict(store: Store, steps: Iterable[Step], added: Mapping[str, str] | None = None, now: int = 0) -> Store:
    """Return the store after the steps; ``added`` are the archive's files, ``now`` is in seconds since the epoch."""
    kept = {item.release: item for item in store.kept}
    files = dict(store.files)
    debris = list(store.debris)
    for step in steps:
        if isinstance(step, Clean):
            debris.remove(step.path)
        elif isinstance(step, Add):
            stored_at = next_time(store, now)
            kept[step.release] = Kept(
                step.release, step.sha256, step.sequence, stored_at, step.directories, added or {}
            )
        elif isinstance(step, Renew):
            kept[step.release] = replace(kept[step.release], sequence=step.sequence)
        elif isinstance(step, Link):
            files[step.path] = kept[step.release].files[step.path]
        elif isinstance(step, Drop):
            del kept[step.release]
        else:
            del files[step.path]
    return replace(store, kept=tuple(kept.values()), files=files, debris=tuple(debris))


def next_time(store: Store, now: int) -> int:
    """Return the modification time for the files that a release brings, in seconds since the epoch.

    nginx makes the ETag of a file from its size and this time, so no two releases may have the same: a browser would
    keep the old page. The times inside an archive do not serve, for reproducible builds have one for everything.
    """
    return max([now, *(item.stored_at + 1 for item in store.kept)])


def describe(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return the steps as plain data: those on files as their number, since there may be thousands."""
    described: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, Clean):
            described.append({"action": "clean", "path": step.path})
        elif isinstance(step, Drop):
            described.append({"action": step.reason, "release": step.release})
        elif isinstance(step, (Add, Renew)):
            described.append({"action": "add" if isinstance(step, Add) else "renew", "release": step.release})
    for action, kind in (("link", Link), ("unlink", Unlink)):
        count = sum(isinstance(step, kind) for step in steps)
        if count:
            described.append({"action": action, "files": count})
    return described


def summary(store: Store, steps: Sequence[Step]) -> str:
    """Return the store as lines for a difference: the releases, newest first, and the files that the steps touch."""
    lines = [f"release: {item.release} ({', '.join(item.directories)})" for item in store.newest_first]
    lines.append(f"files: {len(store.files)}")
    touched = [step.path for step in steps if isinstance(step, (Link, Unlink))]
    owners = union(store.kept)
    for path in sorted(touched)[:PATHS_SHOWN]:
        if path in store.files:
            owner = owners.get(path)
            lines.append(f"  {path} ({owner.release if owner else 'no release'})")
    return "\n".join(lines) + "\n"


def outcome(root: str, wanted: Wanted, steps: Sequence[Step], after: Store) -> str:
    """Return what came of the request, in a sentence that names the application by the last part of ``root``."""
    name = posixpath.basename(root)
    have = f"{len(after.files)} files of {len(after.kept)} release{'' if len(after.kept) == 1 else 's'}"
    if any(isinstance(step, Add) for step in steps):
        known = any(isinstance(step, Link) for step in steps) or wanted.files is not None
        return f"{name}: {wanted.release} gets added" + (f", {have} are served" if known else "")
    if any(isinstance(step, Renew) for step in steps):
        return f"{name}: {wanted.release} becomes the newest again, {have} are served"
    if any(isinstance(step, Drop) and step.reason == "remove" for step in steps):
        return f"{name}: {wanted.release} gets removed, {have} are served"
    there = "is already there" if wanted.present else "is not there"
    return f"{name}: {wanted.release} {there}, {'only leftovers change' if steps else 'nothing to do'}"
