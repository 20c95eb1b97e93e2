"""Pack the archives that the tests of `release` need: pack.py FOLDER. Prints name -> SHA-256 as JSON."""

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
            info.mode = 0o775
            if kind == tarfile.SYMTYPE:
                info.linkname = text
            info.size = len(text) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Pack r1 to r5, and one archive for each way out of a release."""
    folder = Path(sys.argv[1])
    file, link, pipe = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE
    sums = {}
    for number in range(1, 6):
        name = f"r{number}"
        members = (("./bin/id", file, f"{name}\n"), ("./lib/same", file, "same\n"), ("./id", link, "bin/id"))
        sums[name] = pack(folder / f"{name}.tar.gz", *members)
    sums["big"] = pack(folder / "big.tar.gz", ("./big", file, "0123456789abcdef" * (1 << 17)))
    sums["dotdot"] = pack(folder / "dotdot.tar.gz", ("../../evil", file, "x"))
    sums["absolute"] = pack(folder / "absolute.tar.gz", ("/srv/slipway-test/evil", file, "x"))
    sums["link"] = pack(folder / "link.tar.gz", ("etc", link, "/etc"), ("etc/evil", file, "x"))
    sums["pipe"] = pack(folder / "pipe.tar.gz", ("pipe", pipe, ""))
    damaged = (folder / "r1.tar.gz").read_bytes()[:-40]
    (folder / "damaged.tar.gz").write_bytes(damaged)
    sums["damaged"] = hashlib.sha256(damaged).hexdigest()
    print(json.dumps(sums))


if __name__ == "__main__":
    main()
