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
# Of one apt-get call; it waits for another one that holds the lock for up to LOCK_SECONDS.
INSTALL_SECONDS = 900
LOCK_SECONDS = 300
_ENGINE = (Path("/var/run/docker.pid"), "dockerd")
_CONTAINERD = (Path("/var/run/docker/containerd/containerd.pid"), "containerd")


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
    if not can_install():
        raise BedError(
            "No Docker Engine answers. Start it (`systemctl start docker`) and see that "
            "`docker info` works for this user. As root on Debian or Ubuntu, this command installs and starts one."
        )
    if shutil.which("dockerd") is None:
        install_package("docker.io")
    return _start()


def existing() -> docker.DockerClient | None:
    """Return a client of the engine if one is running, or None. Starts nothing."""
    return _answering()


def can_hold_hosts() -> bool:
    """Say whether an engine is installed here that may hold hosts although it does not answer."""
    return bool(os.environ.get("DOCKER_HOST") or shutil.which("dockerd") or not Path("/proc").exists())


def can_install() -> bool:
    """Say whether packages can be installed on this machine."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_package(package: str) -> None:
    """Install a Debian package on the development machine, which the user sees announced.

    Raises BedError where this user or this machine can not, or where apt-get fails.
    """
    if not can_install():
        raise BedError(
            f"{package} is missing on this machine: install it. As root on Debian or Ubuntu, this command does it."
        )
    say(f"Installing {package} on this machine with apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt_get = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-q"]
    for attempt in ([*apt_get, "update"], [*apt_get, "install", "-y", "--no-install-recommends", package]):
        try:
            result = subprocess.run(
                attempt, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise BedError(f"`{' '.join(attempt)}` did not end within {INSTALL_SECONDS} s.") from error
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
    process = None
    if _forget_dead(*_ENGINE):
        say("A dockerd is running, but does not answer yet: waiting for it")
    else:
        _forget_dead(*_CONTAINERD)
        if Path("/run/systemd/system").exists():
            say("No Docker Engine is running: starting it with systemctl")
            subprocess.run(["systemctl", "start", "docker"], check=False)
            return _await(None, log)
        say(f"No Docker Engine is running: starting dockerd, log in {log}")
        with open(log, "ab") as output:
            # Its own session: it outlives this command and is not hit by its signals.
            process = subprocess.Popen(
                ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
    return _await(process, log)


def _await(process: subprocess.Popen[bytes] | None, log: Path) -> docker.DockerClient:
    """Wait until the engine answers, or until the process that was to become it ends."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        client = _answering()
        if client is not None:
            say(f"Docker Engine {client.version()['Version']} answers. It goes on running after this command.")
            return client
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.2)
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:]) if log.exists() else ""
    raise BedError(f"dockerd did not answer within {START_SECONDS} s. The end of {log}:\n{tail}")


def _forget_dead(pid_file: Path, name: str) -> bool:
    """Say whether the process of a pid file lives; remove the file where it does not.

    After a kill the file stays. The daemon takes any process that later has that number for itself, and refuses to
    start; a killed one that nobody has waited for yet counts as alive too.
    """
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return False
    try:
        # Empty for a process that ended and was not waited for.
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        command = b""
    if Path(command.decode(errors="replace")).name == name:
        return True
    pid_file.unlink(missing_ok=True)
    return False
