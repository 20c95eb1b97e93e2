"""Put this checkout and the collections it needs where Ansible finds them.

Links the checkout as ``ansible_collections/slipway/stack`` under a folder, and brings
the collections of ``requirements.yml`` there: from Galaxy, or, where Galaxy is out of
reach or fails, out of the wheel of PyPI's ``ansible`` package, of which only those are unpacked.

Usage: python tools/link_collections.py build/collections
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
GALAXY = "galaxy.ansible.com"
GALAXY_SECONDS = 300


def galaxy_answers() -> bool:
    """Whether Galaxy's API answers within three seconds."""
    try:
        with urllib.request.urlopen(f"https://{GALAXY}/api/", timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, socket.timeout):
        return False


def wanted() -> list[str]:
    """Names of the collections that requirements.yml asks for."""
    return [str(entry["name"]) for entry in yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]]


def folder_of(target: Path, name: str) -> Path:
    return target / "ansible_collections" / name.replace(".", "/")


def from_galaxy(target: Path) -> bool:
    """Whether Galaxy answered and gave what is wanted."""
    if not galaxy_answers():
        return False
    command = ["ansible-galaxy", "collection", "install", "-r", str(ROOT / "requirements.yml"), "-p", str(target)]
    # It leaves out what it finds elsewhere in its path.
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(target)}
    try:
        done = subprocess.run(command, check=False, env=environment, timeout=GALAXY_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and all(folder_of(target, name).is_dir() for name in wanted())


def from_pypi(target: Path) -> None:
    """Unpack the wanted collections from the wheel that goes with this ansible-core."""
    # The `ansible` release that bundles collections for ansible-core 2.19 is 12, for 2.21 it is 14.
    release = "12.*" if sys.version_info < (3, 12) else "14.*"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, f"ansible=={release}"],
            check=True,
        )
        (wheel,) = Path(folder).glob("ansible-*.whl")
        prefixes = tuple("ansible_collections/" + name.replace(".", "/") + "/" for name in wanted())
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target, [name for name in archive.namelist() if name.startswith(prefixes)])


def main(target: Path) -> None:
    namespace = target / "ansible_collections" / "slipway"
    namespace.mkdir(parents=True, exist_ok=True)
    link = namespace / "stack"
    if not (link.is_symlink() and link.resolve() == ROOT):
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(ROOT, namespace))
    missing = [name for name in wanted() if not folder_of(target, name).is_dir()]
    if not missing:
        return
    print(f"collections: fetching {', '.join(missing)}")
    # Only what is whole gets its name: a run that is cut short leaves nothing that looks like a collection.
    with tempfile.TemporaryDirectory(dir=target, prefix=".fetched-") as name_of_folder:
        fetched = Path(name_of_folder)
        if not from_galaxy(fetched):
            print("collections: not from Galaxy, so from the ansible package on PyPI")
            from_pypi(fetched)
        for name in missing:
            folder_of(target, name).parent.mkdir(parents=True, exist_ok=True)
            folder_of(fetched, name).rename(folder_of(target, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
