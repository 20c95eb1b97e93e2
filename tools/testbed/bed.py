"""The three things one does with a test bed: bring a fleet up, take it down, list what is there."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from . import access, cache, engine, host, image, inventory, labels, machine, network
from .errors import BedError
from .fleet import Fleet
from .report import say
from .state import fleet_folder, machine_lock


def up(fleet: Fleet, inventory_file: Path) -> None:
    """Make the fleet as described: keep what runs, start what stopped, make what is missing."""
    folder = fleet_folder(fleet.name)
    with machine_lock():
        access.require_client()
        client = engine.connect()
        published = needs_published_ports(client.info())
        setup = machine.read()
        images = image.Images(client, setup)
        tags = {release: images.ensure(release) for release in sorted({spec.release for spec in fleet.hosts})}
        bridge, subnet = network.ensure(client, fleet.name)
        cache.ensure(client, bridge, next(iter(tags.values())), setup.proxy)
        addresses = network.assign_addresses([spec.name for spec in fleet.hosts], subnet, _present(client, fleet))
        containers = {
            spec.name: host.ensure(
                client, fleet.name, spec, tags[spec.release], bridge, addresses[spec.name], published
            )
            for spec in fleet.hosts
        }
        key = access.key_file(folder)
        public_key = key.with_suffix(".pub").read_text().strip()

    def boot(name: str) -> tuple[access.Endpoint, str]:
        host_key = host.authorize(containers[name], public_key)
        host.await_boot(containers[name])
        return host.endpoint(containers[name], addresses[name], published), host_key

    with ThreadPoolExecutor(max_workers=8) as pool:
        booted = dict(zip(containers, pool.map(boot, containers)))
        endpoints = {name: where for name, (where, _) in booted.items()}
        known = folder / "known_hosts"
        known.write_text(access.known_hosts(endpoints, {name: line for name, (_, line) in booted.items()}))
        for name, reason in zip(endpoints, pool.map(lambda at: access.answers(at, key, known), endpoints.values())):
            if reason:
                raise BedError(f"{name}: SSH to {endpoints[name].host} port {endpoints[name].port}: {reason}")
    inventory_file.parent.mkdir(parents=True, exist_ok=True)
    inventory_file.write_text(inventory.render(endpoints, key, access.arguments(known)))
    (folder / "inventory.path").write_text(str(inventory_file))
    say(f"Fleet {fleet.name} is up: {len(endpoints)} host(s) answer over SSH. Inventory: {inventory_file}")


def down(fleets: Sequence[str] | None, purge: bool = False) -> None:
    """Remove some fleets, or every fleet where ``fleets`` is None. ``purge``: images and cached packages too."""
    with machine_lock():
        client = engine.connect() if engine.can_hold_hosts() else engine.existing()
        if client is None:
            say("There is no Docker Engine on this machine: nothing to remove")
            return
        wanted = [labels.FLEET] if fleets is None else [f"{labels.FLEET}={name}" for name in fleets]
        containers = [item for name in fleets or [None] for item in host.find(client, name)]
        networks = [item for label in wanted for item in client.networks.list(filters={"label": label})]
        names = {item.labels[labels.FLEET] for item in containers}
        names |= {item.attrs["Labels"][labels.FLEET] for item in networks}
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(host.remove, containers))
        for item in networks:
            network.remove(item)
        for name in sorted(names.union(fleets or ())):
            _remove_folder(name)
        for name in sorted(names):
            say(f"Fleet {name} is removed")
        for name in sorted(set(fleets or ()) - names):
            say(f"There is no fleet {name}: nothing to remove")
        if not host.find(client):
            cache.remove(client)
        if purge:
            cache.forget(client)
            image.remove_all(client)


def listing() -> list[str]:
    """Return one line for each host."""
    client = engine.existing()
    if client is None:
        return ["No Docker Engine answers."]
    lines = [f"{'FLEET':<16} {'HOST':<16} {'RELEASE':<10} {'ADDRESS':<16} STATE"]
    for container in host.find(client):
        known = container.labels
        columns = (known[labels.FLEET], known[labels.HOST], known[labels.RELEASE], known[labels.ADDRESS])
        lines.append("{:<16} {:<16} {:<10} {:<16} ".format(*columns) + container.status)
    return lines


def needs_published_ports(info: dict[str, object]) -> bool:
    """Say whether the engine runs in a virtual machine, so that its networks can not be reached from here."""
    return info.get("OperatingSystem") == "Docker Desktop"


def _present(client: docker.DockerClient, fleet: Fleet) -> dict[str, str]:
    """Return the addresses of the fleet's present hosts; remove hosts that are no longer in the description."""
    wanted = {spec.name for spec in fleet.hosts}
    addresses = {}
    for container in host.find(client, fleet.name):
        name = container.labels[labels.HOST]
        if name in wanted:
            addresses[name] = container.labels[labels.ADDRESS]
        else:
            say(f"{name}: no longer in the fleet file, removing it")
            host.remove(container)
    return addresses


def _remove_folder(fleet: str) -> None:
    folder = fleet_folder(fleet)
    with contextlib.suppress(FileNotFoundError):
        Path((folder / "inventory.path").read_text()).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
