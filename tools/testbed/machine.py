"""What the development machine's own package manager says: sources, settings, certificates."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ARCHIVE_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PACKAGE_CONF = re.compile(r'^(Acquire::(?:Check-Valid-Until|Check-Date|Retries)) "(.*)";$', re.MULTILINE)
_PROXY = re.compile(r'^Acquire::http::Proxy "(.+)";$', re.MULTILINE)
_LOOPBACK = re.compile(r"//(localhost|127\.|\[::1\])")


@dataclass(frozen=True)
class Source:
    """One package source: an address, a suite and its components."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class PackageSetup:
    """The machine's package setup, as far as test hosts need it."""

    # Sources of the machine's own release; empty where the machine is not Debian.
    sources: tuple[Source, ...]
    codename: str
    # Lines of apt.conf.
    settings: str
    # Proxy that the machine's APT uses, or "".
    proxy: str
    # Additional certificate authorities: file name to PEM text.
    certificates: Mapping[str, str]


def read(root: Path = Path("/")) -> PackageSetup:
    """Read the setup of the machine whose file system starts at ``root``."""
    release = os_release((root / "etc/os-release").read_text() if (root / "etc/os-release").exists() else "")
    dump = _apt_config()
    proxy = _PROXY.search(dump)
    return PackageSetup(
        sources=_sources(root, release) if release.get("ID") == "debian" else (),
        codename=release.get("VERSION_CODENAME", ""),
        settings="".join(f'{key} "{value}";\n' for key, value in _PACKAGE_CONF.findall(dump)),
        # A proxy on the machine's loopback can not be reached from a container.
        proxy=proxy.group(1) if proxy and not _LOOPBACK.search(proxy.group(1)) else "",
        certificates={
            path.name: path.read_text() for path in sorted((root / "usr/local/share/ca-certificates").glob("*.crt"))
        },
    )


def os_release(text: str) -> dict[str, str]:
    """Parse the text of /etc/os-release."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip("\"'") for key, value in pairs}


def parse_one_line(text: str) -> list[Source]:
    """Parse a sources.list in the one-line style. Entries other than ``deb`` are left out."""
    sources = []
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", "", line.split("#", 1)[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            sources.append(Source(words[1].rstrip("/"), words[2], tuple(words[3:])))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Parse a .sources file. Disabled stanzas and source packages are left out."""
    sources = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            sources += [Source(uri.rstrip("/"), suite, components) for suite in fields.get("suites", "").split()]
    return sources


def of_release(sources: Iterable[Source], machine: str, wanted: str) -> list[Source]:
    """Return the machine's sources with its release replaced by ``wanted``.

    Only the release itself, its updates and its security suite count: other sources of the machine, such as a
    vendor's, have no place on a test host.
    """
    suites = {machine: wanted, f"{machine}-updates": f"{wanted}-updates", f"{machine}-security": f"{wanted}-security"}
    found = [
        Source(source.uri, suites[source.suite], source.components) for source in sources if source.suite in suites
    ]
    return list(dict.fromkeys(found))


def render_deb822(sources: Iterable[Source]) -> str:
    """Render sources as a .sources file."""
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\n"
        f"Components: {' '.join(source.components)}\nSigned-By: {ARCHIVE_KEYRING}\n"
        for source in sources
    )


def _sources(root: Path, release: Mapping[str, str]) -> tuple[Source, ...]:
    folder = root / "etc/apt"
    found: list[Source] = []
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        if path.exists():
            found += parse_one_line(path.read_text())
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        found += parse_deb822(path.read_text())
    codename = release.get("VERSION_CODENAME", "")
    return tuple(of_release(found, codename, codename))


def _apt_config() -> str:
    if shutil.which("apt-config") is None:
        return ""
    return subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
