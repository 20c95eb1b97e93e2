"""SSH access to a fleet: a key made for it, and the host keys it is to be met with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .engine import install_package

USER = "admin"


@dataclass(frozen=True)
class Endpoint:
    """Where a host's SSH answers, and its address among the other hosts."""

    host: str
    port: int
    address: str


def require_client() -> None:
    """See that ssh and ssh-keygen are on this machine. Raises BedError where they can not be installed."""
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        install_package("openssh-client")


def key_file(folder: Path) -> Path:
    """Return the fleet's private key; make it where it does not exist."""
    path = folder / "id_ed25519"
    if path.exists() and path.with_suffix(".pub").exists():
        return path
    path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"slipway-testbed-{folder.name}", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def known_hosts(endpoints: Mapping[str, Endpoint], keys: Mapping[str, str]) -> str:
    """Render a known_hosts file from each host's endpoint and its public key line."""
    lines = []
    for name, endpoint in endpoints.items():
        kind, key = keys[name].split()[:2]
        where = endpoint.host if endpoint.port == 22 else f"[{endpoint.host}]:{endpoint.port}"
        lines.append(f"{where} {kind} {key}\n")
    return "".join(lines)


def arguments(known_hosts_file: Path) -> list[str]:
    """Return the options for ssh that make it trust exactly the fleet's host keys."""
    return [
        "-o", f'UserKnownHostsFile="{known_hosts_file}"',
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
        "-o", "HostKeyAlgorithms=ssh-ed25519",
        "-o", "IdentitiesOnly=yes",
        "-o", "LogLevel=ERROR",
    ]  # fmt: skip


def answers(endpoint: Endpoint, key: Path, known_hosts_file: Path) -> str:
    """Log in to a host. Return "" or why that failed."""
    command = [
        "ssh", "-F", "/dev/null", *arguments(known_hosts_file), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
        "-i", str(key), "-p", str(endpoint.port), f"{USER}@{endpoint.host}", "sudo", "-n", "true",
    ]  # fmt: skip
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return "no answer within 20 s"
    return "" if result.returncode == 0 else (result.stderr.strip() or f"ssh ended with {result.returncode}")
