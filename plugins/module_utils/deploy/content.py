# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of a folder, as a checksum and as an archive, which depend on names, contents and nothing else.

Neither times, owners, the umask nor the order of a directory make a difference; see https://reproducible-builds.org.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path

from .release import ReleaseError, check_member
from .release_host import kind_of

BLOCK = 1 << 20


def entries(folder: Path, exclude: Collection[str]) -> Iterator[Path]:
    """Give all that is below a folder, directories before what is in them, in the order of their names.

    Raises:
        ReleaseError: when there is something else than files, directories and links.
    """
    for path in sorted(folder.iterdir()):
        if path.name not in exclude:
            if not (path.is_symlink() or path.is_dir() or path.is_file()):
                raise ReleaseError(f"{path} is neither a file, a directory nor a link; remove it, or exclude its name")
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from entries(path, exclude)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def content_sha256(folder: Path, exclude: Collection[str] = ()) -> str:
    """Return a checksum of the names, kinds and contents below a folder, and of which files may be executed."""
    digest = hashlib.sha256()
    for path in entries(folder, exclude):
        if path.is_symlink():
            what = f"link {os.fsencode(path.readlink())!r}"
        elif path.is_dir():
            what = "directory"
        else:
            what = f"{'program' if path.stat().st_mode & 0o100 else 'file'} {file_sha256(path)}"
        digest.update(os.fsencode(path.relative_to(folder)) + f"\0{what}\0".encode())
    return digest.hexdigest()


def pack(folder: Path, target: Path, exclude: Collection[str] = ()) -> None:
    """Write a tar archive, compressed with gzip, of what is below a folder.

    Raises:
        ReleaseError: when there is something that a release must not have, such as a link that leads out of the folder.
    """
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(target.open("wb"))
        packed = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0))
        archive = stack.enter_context(tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT))
        for path in entries(folder, exclude):
            place = path.relative_to(folder).as_posix()
            entry = archive.gettarinfo(path, place)
            if entry.islnk():
                # Each of several names of one file is a file here: what is a link depends on the machine.
                entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            check_member(place, kind_of(entry), entry.linkname)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = 0
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())
