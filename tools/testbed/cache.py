"""The package cache: one small container that all fleets share, so that a package is downloaded once."""

from __future__ import annotations

import hashlib

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from . import labels
from .report import say
from .state import FILES

NAME = "slipway-testbed-cache"
VOLUME = "slipway-testbed-packages"
# Hosts know it by this name; see files/image/usr/local/sbin/testbed-apt-proxy.
ALIAS = "testbed-cache"
_PROGRAM = "usr/local/lib/testbed-cache.py"


def ensure(client: docker.DockerClient, network: Network, image: str, proxy: str) -> None:
    """See that the cache runs and can be reached from the network."""
    container = _running(client, image, proxy)
    container.reload()
    if network.name not in container.attrs["NetworkSettings"]["Networks"]:
        network.connect(container, aliases=[ALIAS])


def remove(client: docker.DockerClient) -> None:
    """Remove the cache's container. The packages it holds stay."""
    try:
        client.containers.get(NAME).remove(force=True)
    except NotFound:
        return
    say("Removed the package cache's container (its packages are kept)")


def forget(client: docker.DockerClient) -> None:
    """Remove the packages too."""
    try:
        client.volumes.get(VOLUME).remove()
    except NotFound:
        return
    say("Removed the cached packages")


def _running(client: docker.DockerClient, image: str, proxy: str) -> Container:
    program = hashlib.sha256((FILES / "image" / _PROGRAM).read_bytes() + proxy.encode()).hexdigest()[:12]
    try:
        container = client.containers.get(NAME)
        if container.labels.get(labels.SPEC) == program:
            if container.status == "running":
                return container
            try:
                container.start()
                return container
            except APIError:
                # Left over from an engine that was killed.
                pass
        container.remove(force=True)
    except NotFound:
        pass
    say("Starting the package cache")
    return client.containers.run(
        image,
        name=NAME,
        hostname=ALIAS,
        detach=True,
        entrypoint=["python3", f"/{_PROGRAM}", "/cache"],
        volumes={VOLUME: {"bind": "/cache", "mode": "rw"}},
        environment={"http_proxy": proxy} if proxy else {},
        labels={labels.OURS: "1", labels.CACHE: "1", labels.SPEC: program},
        mem_limit="256m",
        # systemd's stop signal of the image means nothing to a Python program.
        stop_signal="SIGTERM",
    )
