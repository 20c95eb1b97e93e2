"""The network of a fleet: a bridge of its own, an address for each host that does not change."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import docker
from docker.errors import APIError, NotFound
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from . import labels
from .errors import BedError
from .report import say

# A part of the private addresses that engines and home networks seldom use.
POOL = ipaddress.IPv4Network("172.28.0.0/14")
FIRST_HOST = 10
LAST_HOST = 250


def free_subnet(taken: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """Return the first /24 of the pool that overlaps none of the networks in use.

    Raises BedError where there is none.
    """
    used = list(taken)
    for subnet in POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise BedError(f"No free /24 network is left in {POOL}. Remove fleets: `python tools/testbed list`, `down NAME`.")


def assign_addresses(hosts: Iterable[str], subnet: ipaddress.IPv4Network, kept: Mapping[str, str]) -> dict[str, str]:
    """Return an address for each host: the one it has in ``kept``, else the lowest free one.

    Addresses in ``kept`` outside the subnet are not kept. Raises BedError where the subnet is full.
    """
    valid = {host: address for host, address in kept.items() if ipaddress.IPv4Address(address) in subnet}
    free = _free_addresses(subnet, set(valid.values()))
    assigned = {}
    for host in hosts:
        address = valid.get(host) or next(free, None)
        if address is None:
            raise BedError(f"No free address is left in {subnet} for host {host}.")
        assigned[host] = address
    return assigned


def routed_networks(route_table: str) -> list[ipaddress.IPv4Network]:
    """Parse the text of /proc/net/route. The default route is left out: everything overlaps it."""
    networks = []
    for line in route_table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (ipaddress.IPv4Address(bytes.fromhex(fields[column])[::-1]) for column in (1, 7))
        if int(mask) != 0:
            networks.append(ipaddress.IPv4Network(f"{address}/{mask}", strict=False))
    return networks


def ensure(client: docker.DockerClient, fleet: str) -> tuple[Network, ipaddress.IPv4Network]:
    """Return the fleet's network and its subnet; make it where it does not exist."""
    name = labels.network_name(fleet)
    found = client.networks.list(filters={"label": f"{labels.FLEET}={fleet}"})
    if found:
        return found[0], _subnets(found[0])[0]
    subnet = free_subnet(_taken(client))
    pool = IPAMPool(subnet=str(subnet), gateway=str(subnet.network_address + 1))
    network = client.networks.create(
        name,
        driver="bridge",
        ipam=IPAMConfig(pool_configs=[pool]),
        labels={labels.OURS: "1", labels.FLEET: fleet},
        check_duplicate=True,
    )
    say(f"Network {name}: {subnet}")
    return network, subnet


def remove(network: Network) -> None:
    """Remove a fleet's network, and first whatever is still connected to it."""
    network.reload()
    for container in list(network.attrs.get("Containers") or {}):
        try:
            network.disconnect(container, force=True)
        except NotFound:
            continue
        except APIError as error:
            raise BedError(f"Can not disconnect {container[:12]} from {network.name}: {error.explanation}") from error
    network.remove()


def _free_addresses(subnet: ipaddress.IPv4Network, used: set[str]) -> Iterator[str]:
    for number in range(FIRST_HOST, LAST_HOST + 1):
        address = str(subnet.network_address + number)
        if address not in used:
            yield address


def _taken(client: docker.DockerClient) -> list[ipaddress.IPv4Network]:
    taken = [subnet for network in client.networks.list() for subnet in _subnets(network)]
    table = Path("/proc/net/route")
    return taken + (routed_networks(table.read_text()) if table.exists() else [])


def _subnets(network: Network) -> list[ipaddress.IPv4Network]:
    configs = (network.attrs.get("IPAM") or {}).get("Config") or []
    subnets = (config.get("Subnet", "") for config in configs)
    return [ipaddress.IPv4Network(subnet) for subnet in subnets if subnet and ":" not in subnet]
