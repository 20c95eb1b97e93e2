"""Installs certificates that certbot got. Run by certbot after each issue and renewal, and by its timer afterwards.

acme-install          the certificate in the environment variable RENEWED_LINEAGE
acme-install --all    every certificate whose installed files are not certbot's, and what is to be done after that

A certificate is installed only if it is that of its key, has not expired, and carries its names. Exit status 1, and a
reason: one was not, or what is to be done afterwards failed; the installed files are as they were.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/slipway/acme/certificates.json")


class Unusable(Exception):
    """A certificate cannot be served; the message says why."""


def openssl(*words: str) -> str:
    """What it prints."""
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unusable(done.stderr.strip() or done.stdout.strip() or f"openssl {' '.join(words)} failed")
    return done.stdout


def judge(certificate: Path, key: Path, names: list[str]) -> None:
    """Raise Unusable where the pair cannot be served."""
    if openssl("x509", "-in", str(certificate), "-noout", "-pubkey") != openssl("pkey", "-in", str(key), "-pubout"):
        raise Unusable(f"{key} is not the key of {certificate}")
    try:
        openssl("x509", "-in", str(certificate), "-noout", "-checkend", "0")
    except Unusable:
        raise Unusable(f"{certificate} has expired") from None
    for name in names:
        if "does match" not in openssl("x509", "-in", str(certificate), "-noout", "-checkhost", name):
            raise Unusable(f"{certificate} lacks {name}")


def write(path: Path, text: str, mode: int, group: str) -> None:
    """Replace a file as a whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            shutil.chown(name, "root", group)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def held(path: Path) -> str | None:
    """The file's text; None when there is no such file."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def install(live: Path, entry: dict[str, Any]) -> bool:
    """Install one certificate; whether that changed something."""
    certificate, key = Path(entry["certificate"]), Path(entry["key"])
    texts = (live / "fullchain.pem").read_text(encoding="utf-8"), (live / "privkey.pem").read_text(encoding="utf-8")
    if (held(certificate), held(key)) == texts:
        return False
    judge(live / "fullchain.pem", live / "privkey.pem", entry["names"])
    write(key, texts[1], 0o640, "ssl-cert")
    write(certificate, texts[0], 0o644, "root")
    return True


def main(arguments: list[str]) -> int:
    """Exit status."""
    settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
    renewed = os.environ.get("RENEWED_LINEAGE")
    if arguments == ["--all"]:
        lineages = [Path(settings["live"]) / name for name in sorted(settings["certificates"])]
    elif not arguments and renewed:
        lineages = [Path(renewed)]
    else:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    status = 0
    for live in lineages:
        entry = settings["certificates"].get(live.name)
        if entry is None or not live.is_dir():
            continue
        try:
            if install(live, entry):
                print(f"{live.name}: {entry['certificate']} is new")
        except (Unusable, OSError) as error:
            print(f"{live.name}: not installed, what is in use stays: {error}", file=sys.stderr)
            status = 1
    if settings["afterwards"]:
        status = subprocess.run(settings["afterwards"], check=False).returncode or status
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
