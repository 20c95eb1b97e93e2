"""One test host: a container that boots systemd."""

from __future__ import annotations

import hashlib
import json
import time

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from . import labels
from .access import USER, Endpoint
from .errors import BedError
from .fleet import HostSpec
from .report import say

BOOT_SECONDS = 120
# What systemd, SSH sessions, nftables and process inspection need. Not `privileged`: that gives the machine's
# devices too, and fails where root itself lacks a capability.
CAPABILITIES = [
    "AUDIT_CONTROL",
    "AUDIT_WRITE",
    "DAC_READ_SEARCH",
    "IPC_LOCK",
    "LINUX_IMMUTABLE",
    "NET_ADMIN",
    "NET_RAW",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_NICE",
    "SYS_PTRACE",
]
SECURITY = ["seccomp=unconfined", "apparmor=unconfined"]
# The machine's own, shared by all hosts: what a test changes there would stay changed. /proc/sys/net is each host's.
READ_ONLY = [
    *(f"/proc/sys/{tree}" for tree in ("abi", "crypto", "debug", "dev", "fs", "kernel", "user", "vm")),
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sysrq-trigger",
]
TMPFS = {"/run": "", "/run/lock": "", "/tmp": "exec"}


def find(client: docker.DockerClient, fleet: str | None = None) -> list[Container]:
    """Return the containers of a fleet, or of all fleets, whatever state they are in."""
    wanted = labels.FLEET if fleet is None else f"{labels.FLEET}={fleet}"
    # A container may vanish between the list and the look at it.
    found = client.containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
    return sorted(found, key=lambda container: container.name or "")


def spec_of(host: HostSpec, image: str, address: str, published: bool) -> str:
    """Return a fingerprint of all that would make a running host a different one."""
    parts = [host.release, host.memory_mb, image, address, published, CAPABILITIES, SECURITY, READ_ONLY, TMPFS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(
    client: docker.DockerClient,
    fleet: str,
    host: HostSpec,
    image: str,
    network: Network,
    address: str,
    published: bool,
) -> Container:
    """Return the host's container, running: kept, started or made."""
    name = labels.container_name(fleet, host.name)
    spec = spec_of(host, image, address, published)
    try:
        container = client.containers.get(name)
    except NotFound:
        return _create(client, fleet, host, image, network, address, published, spec)
    if container.labels.get(labels.FLEET) != fleet:
        raise BedError(f"The container {name} exists and is not of a test bed. Rename or remove it.")
    if container.labels.get(labels.SPEC) != spec:
        say(f"{host.name}: description or image changed, making it anew")
    elif container.status == "running":
        say(f"{host.name}: keeping it")
        return container
    else:
        try:
            if container.status == "paused":
                container.unpause()
            else:
                container.start()
            say(f"{host.name}: was {container.status}, started")
            return container
        except APIError as error:
            say(f"{host.name}: was {container.status} and does not start ({error.explanation}), making it anew")
    remove(container)
    return _create(client, fleet, host, image, network, address, published, spec)


def remove(container: Container) -> None:
    """Remove a host's container in whatever state it is."""
    try:
        # An SSH connection that ends properly lets Ansible's persistent connections end too: the next host with
        # this address would otherwise be met through a dead one.
        if container.status == "running":
            container.exec_run(["pkill", "-x", "sshd"])
            container.exec_run(["pkill", "-x", "sshd-session"])
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:
            raise
        # Another run removes it already.
        _await_gone(container)


def authorize(container: Container, public_key: str) -> str:
    """Let the key log in. Return the host's own public key line."""
    script = (
        f"install -d -m 0700 -o {USER} -g {USER} /home/{USER}/.ssh && "
        f"printf '%s\\n' \"$1\" > /home/{USER}/.ssh/authorized_keys && "
        f"chown {USER}:{USER} /home/{USER}/.ssh/authorized_keys && chmod 0600 /home/{USER}/.ssh/authorized_keys && "
        "cat /etc/ssh/ssh_host_ed25519_key.pub"
    )
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        code, output = _execute(container, ["sh", "-c", script, "sh", public_key])
        if code == 0:
            return output
        if time.monotonic() > deadline:
            raise BedError(f"{container.name}: can not install the SSH key: {output}")
        time.sleep(0.2)


def await_boot(container: Container) -> None:
    """Wait until systemd has booted.

    Raises BedError where it does not, or where a unit failed.
    """
    deadline = time.monotonic() + BOOT_SECONDS
    state = ""
    while time.monotonic() < deadline:
        _, output = _execute(container, ["systemctl", "is-system-running"])
        state = output.strip()
        if state == "running":
            return
        if state == "degraded":
            _, failed = _execute(container, ["systemctl", "--failed", "--no-legend", "--plain"])
            units = ", ".join(line.split()[0] for line in failed.splitlines() if line.strip())
            # A host that was stopped may have had a broken service before: that is the test's affair.
            say(f"{container.labels[labels.HOST]}: booted, but these units failed: {units}")
            return
        time.sleep(0.3)
    raise BedError(
        f"{container.name}: systemd has not booted within {BOOT_SECONDS} s (it says {state!r}). "
        f"See `docker logs {container.name}`."
    )


def endpoint(container: Container, address: str, published: bool) -> Endpoint:
    """Return where the host's SSH answers."""
    if not published:
        return Endpoint(address, 22, address)
    container.reload()
    binding = container.attrs["NetworkSettings"]["Ports"]["22/tcp"][0]
    return Endpoint(binding["HostIp"], int(binding["HostPort"]), address)


def _create(
    client: docker.DockerClient,
    fleet: str,
    host: HostSpec,
    image: str,
    network: Network,
    address: str,
    published: bool,
    spec: str,
) -> Container:
    api = client.api
    host_config = api.create_host_config(
        cap_add=list(CAPABILITIES),
        security_opt=SECURITY,
        cgroupns="private",
        tmpfs=TMPFS,
        mem_limit=f"{host.memory_mb}m",
        port_bindings={22: ("127.0.0.1", None)} if published else None,
    )
    # The SDK knows no option for these. By default the engine makes all of /proc/sys read-only.
    host_config.update(MaskedPaths=[], ReadonlyPaths=READ_ONLY)
    made = api.create_container(
        image,
        name=labels.container_name(fleet, host.name),
        hostname=host.name,
        labels={
            labels.OURS: "1",
            labels.FLEET: fleet,
            labels.HOST: host.name,
            labels.ADDRESS: address,
            labels.RELEASE: host.release,
            labels.SPEC: spec,
        },
        ports=[22] if published else None,
        host_config=host_config,
        networking_config=api.create_networking_config(
            {network.name: api.create_endpoint_config(ipv4_address=address, aliases=[host.name])}
        ),
    )
    container = client.containers.get(made["Id"])
    container.start()
    say(f"{host.name}: made ({host.release}, {host.memory_mb} MiB, {address})")
    return container


def _execute(container: Container, command: list[str]) -> tuple[int, str]:
    try:
        code, output = container.exec_run(command)
    except APIError as error:
        return 1, str(error.explanation)
    return int(code), output.decode(errors="replace")


def _await_gone(container: Container) -> None:
    for _ in range(100):
        try:
            container.reload()
        except NotFound:
            return
        time.sleep(0.2)
    raise BedError(f"The container {container.name} is being removed, but does not go away.")
