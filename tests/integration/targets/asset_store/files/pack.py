"""Pack the archives that the tests of `asset_store` need: pack.py FOLDER. Prints name -> SHA-256 as JSON."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def pack(path: Path, *members: tuple[str, bytes, str]) -> str:
    """Write an archive of (name, type, content or link target); return its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o600
            if kind == tarfile.SYMTYPE:
                info.linkname = text
            info.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Pack r1 to r4, each with a program, a page, a file of its own and one that never changes; and bad ones."""
    folder = Path(sys.argv[1])
    file, link = tarfile.REGTYPE, tarfile.SYMTYPE
    sums = {}
    for number in range(1, 5):
        name = f"r{number}"
        members = (
            ("./server.js", file, "program"),
            ("./public/page.html", file, f"{name}\n"),
            (f"./public/{name}.js", file, name),
            ("./public/same.css", file, "same"),
            ("./static/logo.svg", file, "logo"),
        )
        sums[name] = pack(folder / f"{name}.tar.gz", *members)
    sums["dotdot"] = pack(folder / "dotdot.tar.gz", ("../../evil", file, "x"))
    sums["link"] = pack(folder / "link.tar.gz", ("public/etc", link, "/etc"))
    (folder / "damaged.tar.gz").write_bytes((folder / "r1.tar.gz").read_bytes()[:-40])
    sums["damaged"] = hashlib.sha256((folder / "damaged.tar.gz").read_bytes()).hexdigest()
    print(json.dumps(sums))


if __name__ == "__main__":
    main()
