# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The static files of an application's releases on this machine: read them, unpack an archive, link, remove."""

# System calls by their names, with the flags that matter here, which pathlib does not offer.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH112, PTH114, PTH118, PTH120

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from . import release_host
from .assets import (
    NEW,
    Add,
    Kept,
    Link,
    Renew,
    Step,
    Store,
    Unlink,
    is_below,
    next_time,
    parents,
    parse_record,
    render_record,
)
from .release import RECORD_NAME, Clean, ReleaseError, check_member
from .release_host import ARCHIVE_ERRORS, DEBRIS, RELEASES, names_in, opened_archive

__all__ = ["apply", "archive_files", "locked", "opened_archive", "read"]

FILES = "files"
OTHER = "other"
"""Identity of what is below files/ and not a file."""

NEW_LINK = ".link.partial"
BLOCK = 1 << 20


def read(root: str) -> Store:
    """Return what is kept below ``root``; nothing when it is not there.

    Raises:
        ReleaseError: when something else is where the releases or the files are to be.
    """
    folder = os.path.join(root, RELEASES)
    kept: list[Kept] = []
    foreign: list[str] = []
    debris: list[str] = []
    for name in names_in(folder):
        path = os.path.join(folder, name)
        if DEBRIS.match(name):
            debris.append(path)
        elif (record := _record(path)) is not None and record.release == name:
            files = {place: one for place, one in _walk(path) if place != RECORD_NAME and not DEBRIS.match(place)}
            kept.append(replace(record, files=files))
        else:
            foreign.append(name)
    debris += [os.path.join(root, name) for name in names_in(root) if DEBRIS.match(name)]
    names_in(os.path.join(root, FILES))
    return Store(tuple(kept), dict(_walk(os.path.join(root, FILES))), tuple(debris), tuple(foreign))


def _record(path: str) -> Kept | None:
    try:
        with open(os.path.join(path, RECORD_NAME), encoding="utf-8") as stream:
            return parse_record(stream.read())
    except (FileNotFoundError, NotADirectoryError, ReleaseError):
        return None


def _walk(top: str, below: str = "") -> Iterator[tuple[str, str]]:
    """Give the path and identity of all that is below ``top`` and not a directory."""
    with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(top, below)) as entries:
        for entry in entries:
            place = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(top, place)
            elif entry.is_file(follow_symlinks=False):
                yield place, str(entry.inode())
            else:
                yield place, OTHER


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Create ``root`` if need be, and hold it against other runs on this host.

    Raises:
        ReleaseError: when another run holds it.
    """
    with release_host.locked(root, str(os.geteuid()), str(os.getegid())):
        _make_folder(root, FILES)
        yield


def _make_folder(top: str, place: str) -> None:
    """Create a directory below ``top`` and those above it, which everybody may read whatever the umask is."""
    for folder in (*reversed(list(parents(place))), place):
        path = os.path.join(top, folder)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            os.chmod(path, 0o755)


def archive_files(archive: IO[bytes], directories: Sequence[str], root: str, store: Store) -> dict[str, str]:
    """Return the files in these directories of an archive: path and identity.

    A file that is below files/ with the same content has the identity of that; any other is new.

    Raises:
        ReleaseError: when it is no tar archive, is damaged, has a member that a release must not have, or has nothing
            in one of the directories.
    """
    found: dict[str, str] = {}
    for place, content in _contents(archive, directories):
        path = os.path.join(root, FILES, place)
        same = store.files.get(place, OTHER) != OTHER and _same(content, path)
        found[place] = store.files[place] if same else f"{NEW}{place}"
    return found


def _contents(archive: IO[bytes], directories: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Give each file in the directories and its content, links inside the release as what they point to."""
    archive.seek(0)
    seen: set[str] = set()
    files: set[str] = set()
    top: set[str] = set()
    try:
        with tarfile.open(fileobj=archive, mode="r:*") as tar:
            for member in tar:
                # Also what is not wanted here is looked at: such an archive would be refused as a release.
                place = check_member(member.name, release_host.kind_of(member), member.linkname)
                top.add(place.split("/", 1)[0])
                if not is_below(place, directories):
                    continue
                if member.isdir():
                    seen.add(place)
                    continue
                if place in directories:
                    raise ReleaseError(f"directories: {place!r} is a file or link in the archive; expected a directory")
                if place in seen or any(above in files for above in parents(place)):
                    raise ReleaseError(f"the archive has the member {member.name!r} twice, or below a file")
                seen.add(place)
                files.add(place)
                yield place, _content(tar, member)
    except ARCHIVE_ERRORS as error:
        raise ReleaseError(f"src: is not a whole tar archive (plain, gzip, bzip2 or xz): {error}") from error
    for directory in directories:
        if not any(is_below(place, [directory]) for place in seen):
            have = ", ".join(sorted(top - {""})) or "nothing"
            raise ReleaseError(
                f"directories: {directory!r} is not in the archive, which has {have}; correct the name, or pack it"
            )


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    try:
        content = tar.extractfile(member)
    except (KeyError, RecursionError) as error:
        raise ReleaseError(f"the archive's member {member.name!r} is a link that leads to no file in it") from error
    if content is None:
        raise ReleaseError(f"the archive's member {member.name!r} is a link to a directory; expected files there")
    return content


def _same(content: IO[bytes], path: str) -> bool:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as there:
        while True:
            block = content.read(BLOCK)
            if block != there.read(BLOCK):
                return False
            if not block:
                return True


def apply(
    root: str, steps: Sequence[Step], store: Store, archive: IO[bytes] | None, files: Mapping[str, str], now: int
) -> None:
    """Do the steps. Every one is complete or, after an interruption, done by the next run.

    ``files`` are those that ``archive_files`` found.

    Raises:
        ReleaseError: when there is something to unpack and no archive.
    """
    for step in steps:
        if isinstance(step, Clean):
            _remove(step.path)
        elif isinstance(step, Add):
            if archive is None:
                raise ReleaseError(f"release {step.release} is not kept on this host and there is no archive of it")
            stored_at = next_time(store, now)
            kept = Kept(step.release, step.sha256, step.sequence, stored_at, step.directories, files)
            _add(root, kept, archive)
        elif isinstance(step, Renew):
            kept_already = store.find(step.release)
            if kept_already is not None:
                path = os.path.join(root, RELEASES, step.release, RECORD_NAME)
                new = os.path.join(root, ".record.partial")
                _write(new, render_record(replace(kept_already, sequence=step.sequence)))
                os.rename(new, path)
        elif isinstance(step, Link):
            _link(root, step)
        elif isinstance(step, Unlink):
            _unlink(root, step.path)
        else:
            _drop(os.path.join(root, RELEASES), step.release)
    os.sync()


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _drop(folder: str, release: str) -> None:
    going = os.path.join(folder, f".{release}.removing")
    # As a whole: never found half removed by a later run.
    os.rename(os.path.join(folder, release), going)
    _remove(going)


def _add(root: str, kept: Kept, archive: IO[bytes]) -> None:
    folder = os.path.join(root, RELEASES)
    partial = os.path.join(folder, f".{kept.release}.partial")
    try:
        os.mkdir(partial)
        os.chmod(partial, 0o755)
        for place, content in _contents(archive, kept.directories):
            _make_folder(partial, os.path.dirname(place))
            path = os.path.join(partial, place)
            if kept.files[place].startswith(NEW):
                _write_file(path, content, kept.stored_at)
            else:
                # Saves the space, and browsers that have it from the release before are told so.
                os.link(os.path.join(root, FILES, place), path, follow_symlinks=False)
        _write(os.path.join(partial, RECORD_NAME), render_record(kept))
        # Thousands of files: one sync of everything is far quicker than one of each.
        os.sync()
        if os.path.lexists(os.path.join(folder, kept.release)):
            _drop(folder, kept.release)
        os.rename(partial, os.path.join(folder, kept.release))
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
        raise


def _write_file(path: str, content: IO[bytes], seconds: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as stream:
        shutil.copyfileobj(content, stream, BLOCK)
        # Everybody may read what is served to everybody; nginx does not own it.
        os.fchmod(stream.fileno(), 0o644)
    os.utime(path, (seconds, seconds))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


def _link(root: str, step: Link) -> None:
    """Put a release's file in its place by one rename: a reader finds the old file or the new one, whole."""
    files = os.path.join(root, FILES)
    path = os.path.join(files, step.path)
    new = os.path.join(root, NEW_LINK)
    os.link(os.path.join(root, RELEASES, step.release, step.path), new, follow_symlinks=False)
    _make_folder(files, os.path.dirname(step.path))
    try:
        os.rename(new, path)
    except IsADirectoryError:
        _remove_empty(path)
        os.rename(new, path)


def _remove_empty(top: str) -> None:
    for folder, _directories, _files in os.walk(top, topdown=False):
        os.rmdir(folder)


def _unlink(root: str, place: str) -> None:
    """Remove a file, and the directories that are empty then."""
    files = os.path.join(root, FILES)
    os.unlink(os.path.join(files, place))
    for folder in parents(place):
        try:
            os.rmdir(os.path.join(files, folder))
        except OSError:
            return
