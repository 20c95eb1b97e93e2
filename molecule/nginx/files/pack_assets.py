"""Pack releases r1 to r3 of a program with static files: pack_assets.py FOLDER. Prints release -> path and SHA-256.

The same bytes each time. Each release has a script of its own, with a precompressed copy, and a page that names it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def members(release: str) -> dict[str, bytes]:
    script = f"release('{release}')\n".encode() * 200
    return {
        "server.js": b"the program",
        f"public/app.{release}.js": script,
        # Told from what nginx would compress itself.
        f"public/app.{release}.js.gz": gzip.compress(script + b"// gzip\n", mtime=0),
        "public/same.css": b"body { color: black }\n",
        "dist/index.html": f"<title>{release}</title>\n".encode(),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    packed = {}
    for release in ("r1", "r2", "r3"):
        path = folder / f"{release}.tar"
        with tarfile.open(path, "w") as tar:
            for name, content in members(release).items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        packed[release] = {"path": str(path.resolve()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    print(json.dumps(packed))


if __name__ == "__main__":
    main()
