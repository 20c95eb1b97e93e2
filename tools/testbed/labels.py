"""Labels and names by which the test bed recognises what is its own."""

from __future__ import annotations

OURS = "org.slipway.testbed"
FLEET = "org.slipway.testbed.fleet"
HOST = "org.slipway.testbed.host"
ADDRESS = "org.slipway.testbed.address"
SPEC = "org.slipway.testbed.spec"
RELEASE = "org.slipway.testbed.release"
CACHE = "org.slipway.testbed.cache"


def container_name(fleet: str, host: str) -> str:
    """Return the name of a host's container."""
    return f"slipway-{fleet}-{host}"


def network_name(fleet: str) -> str:
    """Return the name of a fleet's network."""
    return f"slipway-{fleet}"
