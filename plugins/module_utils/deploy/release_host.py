# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The releases of one application on this machine: read them, unpack an archive, move the link, remove."""

# System calls by their names, with the flags that matter here, which pathlib does not offer.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH105, PTH108, PTH112, PTH114, PTH115, PTH118, PTH120, PTH208, PTH211

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import lzma
import os
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import IO, Any

from .. import state_file
from ..accounts import group_id, user_id
from ..app.instances import instance_of, parse_show
from ..state_file import StateFileError
from .release import (
    RECORD_NAME,
    RELEASE_ID,
    Activate,
    Activation,
    Clean,
    Drop,
    Mark,
    ReleaseError,
    State,
    Step,
    Store,
    Stored,
    check_member,
    member_mode,
    parse_record,
    parse_state,
    predict,
    render_record,
    render_state,
)

RELEASES = "releases"
CURRENT = "current"
STATE_NAME = ".slipway-state.json"
DEBRIS = re.compile(r"\.(.+\.(partial|removing)|current\.[0-9a-f]{8}|\.slipway-state\.json\.new)\Z")
BLOCK = 1 << 20
ARCHIVE_ERRORS = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)


def read(root: str) -> State:
    """Return what is stored below ``root``; nothing when it is not there.

    Raises:
        ReleaseError: when ``current`` is something else than a link to one of the releases.
    """
    folder = os.path.join(root, RELEASES)
    stored: list[Stored] = []
    foreign: list[str] = []
    debris: list[str] = []
    for name in names_in(folder):
        path = os.path.join(folder, name)
        if DEBRIS.match(name):
            debris.append(path)
        elif (record := _record(path)) is not None and record.release == name:
            stored.append(record)
        else:
            foreign.append(name)
    debris += [os.path.join(root, name) for name in names_in(root) if DEBRIS.match(name)]
    current = _current(root)
    if current is not None and current in foreign:
        raise ReleaseError(f"{root}/{CURRENT} points to {current}, which was not stored by this module; move it away")
    # A link to a release that is gone serves nobody: as if there were none.
    current = current if any(item.release == current for item in stored) else None
    history, bad = _remembered(root)
    if current is not None and (not history or history[-1].release != current):
        # The link is moved first and remembered afterwards: a run was cut off in between.
        moved_at = int(os.lstat(os.path.join(root, CURRENT)).st_mtime)
        history = (*history, Activation(current, moved_at))
    return State(tuple(stored), current, history, bad, tuple(debris), tuple(foreign))


def names_in(folder: str) -> list[str]:
    """Return what is in a directory, sorted; nothing when it is not there.

    Raises:
        ReleaseError: when it is something else than a directory.
    """
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise ReleaseError(f"{folder} is not a directory; move it away first") from error


def _record(path: str) -> Stored | None:
    try:
        with open(os.path.join(path, RECORD_NAME), encoding="utf-8") as stream:
            return parse_record(stream.read())
    except (FileNotFoundError, NotADirectoryError, ReleaseError):
        return None


def _current(root: str) -> str | None:
    path = os.path.join(root, CURRENT)
    if not os.path.lexists(path):
        return None
    folder, _slash, release = os.readlink(path).rpartition("/") if os.path.islink(path) else ("", "", "")
    if folder not in (RELEASES, os.path.join(root, RELEASES)) or not RELEASE_ID.match(release):
        raise ReleaseError(f"{path} is not a link to one of the releases below {root}; move it away first")
    return release


def _remembered(root: str) -> tuple[tuple[Activation, ...], tuple[Mark, ...]]:
    path = os.path.join(root, STATE_NAME)
    try:
        return parse_state(state_file.read(path))
    except StateFileError as error:
        raise ReleaseError(str(error)) from error
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error}; correct it, or remove it to start anew") from error


def release_of(root: str, path: str) -> str | None:
    """Return the release below ``root`` that an absolute path without links is in; None for one that was removed."""
    folder = os.path.join(os.path.realpath(root), RELEASES) + "/"
    release = path[len(folder) :].split("/", 1)[0] if path.startswith(folder) else ""
    return release if RELEASE_ID.match(release) else None


def in_use(root: str, processes: str = "/proc") -> frozenset[str]:
    """Return the releases that a process works in, or whose program it runs."""
    found = set()
    for pid in filter(str.isdigit, os.listdir(processes)):
        for link in ("cwd", "exe"):
            # Kernel threads have none, and a process may end meanwhile.
            with contextlib.suppress(OSError):
                found.add(release_of(root, os.readlink(os.path.join(processes, pid, link))))
    return frozenset(release for release in found if release is not None)


def working_in(root: str, pid: int) -> str | None:
    """Return the release that a process works in; None when that is elsewhere, or the process ended."""
    try:
        return release_of(root, os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def main_processes(text: str, template: str) -> dict[int, int]:
    """Return the main process of each instance of a template unit that runs.

    ``text`` is what ``systemctl show --property=Id,MainPID`` says of them.
    """
    found = {}
    for properties in parse_show(text):
        instance, pid = instance_of(properties.get("Id", ""), template), int(properties.get("MainPID", "0"))
        if instance is not None and pid > 0:
            found[instance] = pid
    return dict(sorted(found.items()))


def free_mb(root: str) -> int:
    """Return the space in MB that the file system of ``root`` has free, or where that is not there, will have."""
    while not os.path.isdir(root):
        root = os.path.dirname(root)
    return shutil.disk_usage(root).free >> 20


@contextmanager
def locked(root: str, owner: str, group: str) -> Iterator[None]:
    """Create ``root`` if need be, and hold it against other runs on this host.

    Raises:
        ReleaseError: when another run holds it.
    """
    _make_directory(root, owner, group)
    _make_directory(os.path.join(root, RELEASES), owner, group)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ReleaseError(
                f"{root} is being changed by another run on this host; try again when it ended"
            ) from error
        yield
    finally:
        os.close(descriptor)


def _make_directory(path: str, owner: str, group: str) -> None:
    """Create a directory with mode 0755 whatever the umask is, and those above it for root; leave one that is there."""
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path), "root", "root")
    os.mkdir(path)
    os.chown(path, user_id(owner), group_id(group))
    os.chmod(path, 0o755)


def opened_archive(src: str, sha256: str) -> IO[bytes]:
    """Open an archive whose content has the checksum ``sha256``; what is then read is what was summed.

    Raises:
        FileNotFoundError: when there is no file ``src``.
        ReleaseError: naming the checksum received and the one wanted.
    """
    stream = open(src, "rb")  # noqa: SIM115
    digest = hashlib.sha256()
    for block in iter(lambda: stream.read(BLOCK), b""):
        digest.update(block)
    if digest.hexdigest() != sha256:
        stream.close()
        raise ReleaseError(
            f"src: {src} has the SHA-256 checksum {digest.hexdigest()}, but {sha256} was expected; it is damaged or"
            " another file: copy it again, or correct sha256"
        )
    stream.seek(0)
    return stream


def apply(
    root: str, state: State, steps: Sequence[Step], archive: IO[bytes] | None, owner: str, group: str, now: int
) -> None:
    """Do the steps from ``state``. Every one is complete or, after an interruption, debris that the next run cleans.

    Raises:
        ReleaseError: when the archive is not a tar archive that may be unpacked; nothing of it is left then.
    """
    for step in steps:
        after = predict(state, (step,), now)
        if isinstance(step, Clean):
            _remove(step.path)
        elif isinstance(step, Store):
            if archive is None:
                raise ReleaseError(f"release {step.release} is not stored on this host and there is no archive of it")
            _store(root, state, Stored(step.release, step.sha256, step.sequence, now), archive, owner, group)
        elif isinstance(step, Activate):
            _move_link(root, step.release)
        elif isinstance(step, Drop):
            path = os.path.join(root, RELEASES, step.release)
            going = os.path.join(root, RELEASES, f".{step.release}.removing")
            # Gone for readers at once, and never found half removed by a later run.
            os.rename(path, going)
            _remove(going)
        if (after.history, after.bad) != (state.history, state.bad):
            state_file.write(os.path.join(root, STATE_NAME), render_state(after))
        state = after


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


@dataclass(frozen=True)
class Placing:
    """How files get into a release: whose they are, and the release whose equal files are linked to, if any."""

    uid: int
    gid: int
    like: str | None = None


def _store(root: str, state: State, stored: Stored, archive: IO[bytes], owner: str, group: str) -> None:
    folder = os.path.join(root, RELEASES)
    partial = os.path.join(folder, f".{stored.release}.partial")
    like = os.path.join(folder, state.newest_first[0].release) if state.stored else None
    placing = Placing(user_id(owner), group_id(group), like)
    try:
        os.mkdir(partial, 0o755)
        unpack(archive, partial, placing)
        _write(os.path.join(partial, RECORD_NAME), render_record(stored))
        _give(partial, placing)
        # Thousands of files: one sync of everything is far quicker than one of each.
        os.sync()
        os.rename(partial, os.path.join(folder, stored.release))
        _sync(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
        raise


def unpack(archive: IO[bytes], folder: str, placing: Placing) -> None:
    """Unpack a tar archive (plain or compressed with gzip, bzip2 or xz) into the empty ``folder``.

    The members are written here rather than by tarfile, whose safe filter the Python of Debian 12 may not have.

    Raises:
        ReleaseError: when it is no such archive, is damaged, or has a member that a release must not have.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:*") as tar:
            links: set[str] = set()
            for member in tar:
                _unpack_member(tar, member, folder, links, placing)
    except FileNotFoundError as error:
        raise ReleaseError(
            f"the archive has a hard link to a member that is not before it: {error.filename}"
        ) from error
    except ARCHIVE_ERRORS as error:
        raise ReleaseError(f"src: is not a whole tar archive (plain, gzip, bzip2 or xz): {error}") from error
    top = os.path.realpath(folder)
    for link in links:
        # A chain of links can lead out although each looks harmless.
        if not (os.path.realpath(os.path.join(folder, link)) + "/").startswith(top + "/"):
            raise ReleaseError(f"the archive's member {link!r} is a link that leads outside the release")


def kind_of(member: tarfile.TarInfo) -> str:
    """Return file, directory, symlink, hardlink or other."""
    tests = {
        "file": member.isreg(),
        "directory": member.isdir(),
        "symlink": member.issym(),
        "hardlink": member.islnk(),
    }
    return next((kind for kind, holds in tests.items() if holds), "other")


def _unpack_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: str, links: set[str], placing: Placing
) -> None:
    kind = kind_of(member)
    place = check_member(member.name, kind, member.linkname)
    if not place:
        return
    parts = place.split("/")
    above = {"/".join(parts[:count]) for count in range(1, len(parts))}
    if above & links or (kind == "directory" and place in links):
        raise ReleaseError(f"the archive's member {member.name!r} would be written through a link")
    path = os.path.join(folder, place)
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        if kind == "directory":
            os.makedirs(path, 0o755, exist_ok=True)
        elif kind == "symlink":
            os.symlink(member.linkname, path)
            links.add(place)
        elif kind == "hardlink":
            os.link(os.path.join(folder, _unlinked(member, links)), path, follow_symlinks=False)
        else:
            like = os.path.join(placing.like, place) if placing.like else None
            _unpack_file(tar, member, path, replace(placing, like=like))
    except (FileExistsError, NotADirectoryError) as error:
        raise ReleaseError(f"the archive has the member {member.name!r} twice, or below a file") from error


def _unlinked(member: tarfile.TarInfo, links: set[str]) -> str:
    """Return the place of the file that a hard link names, which is reached through no symbolic link."""
    place = check_member(member.linkname, "file")
    parts = place.split("/")
    if {"/".join(parts[:count]) for count in range(1, len(parts) + 1)} & links:
        raise ReleaseError(f"the archive's member {member.name!r} is a hard link through a symbolic link")
    return place


def _unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, placing: Placing) -> None:
    """Write a file of the archive, or link to the equal one at ``placing.like``."""
    source: Any = tar.extractfile(member)
    mode = member_mode(member.mode, directory=False)
    with contextlib.ExitStack() as stack:
        head, block = 0, b""
        like = _candidate(placing, mode, member.size)
        if like is not None and placing.like is not None:
            stack.enter_context(like)
            difference = _first_difference(source, like)
            if difference is None:
                os.link(placing.like, path, follow_symlinks=False)
                return
            head, block = difference
            like.seek(0)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        stream = stack.enter_context(open(descriptor, "wb"))
        if like is not None:
            # A compressed archive is not read twice: up to the difference the other file has the same.
            stream.writelines(like.read(BLOCK) for _block in range(head // BLOCK))
            stream.write(block)
        shutil.copyfileobj(source, stream, BLOCK)
        os.fchown(stream.fileno(), placing.uid, placing.gid)
        os.fchmod(stream.fileno(), mode)


def _candidate(placing: Placing, mode: int, size: int) -> IO[bytes] | None:
    """Open the file that a new one of this mode and size may turn out to be equal to, if there is one."""
    if placing.like is None or size == 0:
        return None
    try:
        stream = open(os.open(placing.like, os.O_RDONLY | os.O_NOFOLLOW), "rb")  # noqa: SIM115
    except OSError:
        return None
    there = os.fstat(stream.fileno())
    wanted = (stat.S_IFREG | mode, size, placing.uid, placing.gid)
    if (there.st_mode, there.st_size, there.st_uid, there.st_gid) == wanted:
        return stream
    stream.close()
    return None


def _first_difference(source: IO[bytes], other: IO[bytes]) -> tuple[int, bytes] | None:
    """Return where the block of ``source`` begins that ``other`` has not, and that block; None when both are equal."""
    position = 0
    while True:
        block = source.read(BLOCK)
        if block != other.read(BLOCK):
            return position, block
        if not block:
            return None
        position += len(block)


def _give(top: str, placing: Placing) -> None:
    """Give directories, links and the record their owner and group, and directories 0755 whatever the umask is."""
    os.chown(os.path.join(top, RECORD_NAME), placing.uid, placing.gid)
    for folder, directories, names in os.walk(top):
        os.chown(folder, placing.uid, placing.gid)
        os.chmod(folder, member_mode(0, directory=True))
        for name in (*names, *directories):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                os.chown(path, placing.uid, placing.gid, follow_symlinks=False)


def _move_link(root: str, release: str) -> None:
    new = os.path.join(root, f".{CURRENT}.{token_hex(4)}")
    os.symlink(os.path.join(RELEASES, release), new)
    os.replace(new, os.path.join(root, CURRENT))
    _sync(root)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
