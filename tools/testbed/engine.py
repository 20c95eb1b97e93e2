"""The Docker Engine: find it, or on a Debian machine install and start it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import DockerException

from .errors import BedError
from .report import say
from .state import ROOT

START_SECONDS = 60
_PID_FILE = Path("/var/run/docker.pid")


def connect() -> docker.DockerClient:
    """Return a client of a running engine, installing and starting one where that is possible.

    Raises BedError where no engine answers and none can be started.
    """
    client = _answering()
    if client is not None:
        return client
    if os.environ.get("DOCKER_HOST"):
        raise BedError(
            f"No Docker Engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}. Start it, or unset DOCKER_HOST."
        )
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BedError(
            "No Docker Engine answers. Start it (Docker Desktop, or `systemctl start docker`) and see that "
            "`docker info` works for this user. As root on Debian or Ubuntu, this command installs and starts one."
        )
    if shutil.which("dockerd") is None:
        install_package("docker.io")
    return _start()


def existing() -> docker.DockerClient | None:
    """Return a client of the engine if one is running. Starts nothing."""
    return _answering()


def install_package(package: str) -> None:
    """Install a Debian package on the development machine, which the user sees announced."""
    say(f"Installing {package} on this machine with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    for attempt in (["apt-get", "update", "-q"], install):
        result = subprocess.run(attempt, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise BedError(f"`{' '.join(attempt)}` failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def _answering() -> docker.DockerClient | None:
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException:
        return None
    return client


def _start() -> docker.DockerClient:
    ROOT.mkdir(parents=True, exist_ok=True)
    log = ROOT / "dockerd.log"
    _remove_stale_pid_file()
    say(f"No Docker Engine is running: starting dockerd, log in {log}")
    with open(log, "ab") as output:
        # Its own session: it outlives this command and is not hit by its signals.
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        client = _answering()
        if client is not None:
            version = client.version()["Version"]
            say(f"Docker Engine {version} answers (process {process.pid}; it goes on running after this command)")
            return client
        if process.poll() is not None:
            break
        time.sleep(0.2)
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
    raise BedError(f"dockerd did not start within {START_SECONDS} s. The end of {log}:\n{tail}")


def _remove_stale_pid_file() -> None:
    """Remove the pid file of a dockerd that was killed: dockerd refuses to start where that pid lives again."""
    try:
        pid = int(_PID_FILE.read_text())
    except (OSError, ValueError):
        return
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        name = ""
    if name != "dockerd":
        _PID_FILE.unlink(missing_ok=True)
