"""A worker without a port: takes jobs from the Redis stream ``mail`` and marks them done.

Environment: ``REDIS_NODES`` (host:port,host:port) with ``REDIS_PASSWORD``, or ``REDIS_URL``;
``HEARTBEAT_FILE``, touched with every turn of the loop; ``SLIPWAY_INSTANCE``, its name among the workers.

A job is done at least once: it stays with its worker until acknowledged, and another worker takes it
over when that one is gone for a minute. SIGTERM lets the current job end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException

STREAM = "mail"
GROUP = "mailer"
DONE = "mail:processed"
BLOCK_MS = 1000
# Redis answers a blocking read only after BLOCK_MS, so the socket has to be more patient than that.
SOCKET_TIMEOUT_SECONDS = 5
ABANDONED_AFTER_MS = 60_000
RETRY_SECONDS = 2.0

STOPPING = threading.Event()


def log(level: str, message: str, **fields: object) -> None:
    """One JSON object per line on standard output."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    print(json.dumps({"time": f"{now}Z", "level": level, "message": message, **fields}), flush=True)


def connect() -> Any:
    """A client of the cluster, or of the single server, that the environment names."""
    patience = {"socket_timeout": SOCKET_TIMEOUT_SECONDS, "socket_connect_timeout": 2, "decode_responses": True}
    nodes = os.environ.get("REDIS_NODES")
    if nodes:
        pairs = (node.strip().rsplit(":", 1) for node in nodes.split(","))
        startup = [ClusterNode(host.strip("[]"), int(port)) for host, port in pairs]
        return RedisCluster(startup_nodes=startup, password=os.environ.get("REDIS_PASSWORD"), **patience)
    url = os.environ.get("REDIS_URL")
    if not url:
        raise SystemExit("REDIS_NODES or REDIS_URL must be set")
    return redis.Redis.from_url(url, **patience)


def create_group(client: Any) -> None:
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def heartbeat() -> None:
    path = os.environ.get("HEARTBEAT_FILE")
    if path:
        Path(path).touch()


def process(client: Any, job: str, fields: dict[str, str]) -> None:
    """Do one job, then mark it done. The work itself is a stand-in for a mail server's answer time."""
    time.sleep(0.02)
    client.xack(STREAM, GROUP, job)
    client.xdel(STREAM, job)
    client.incr(DONE)
    log("info", "mail sent", job=job, **fields)


def next_jobs(client: Any, name: str) -> list[tuple[str, dict[str, str]]]:
    """Jobs that another worker left behind, or else new ones, waiting for at most BLOCK_MS."""
    abandoned = client.execute_command("XAUTOCLAIM", STREAM, GROUP, name, ABANDONED_AFTER_MS, "0", "COUNT", 10)[1]
    if abandoned:
        pairs = ((job, fields) for job, fields in abandoned if fields)
        return [(job, dict(zip(fields[::2], fields[1::2]))) for job, fields in pairs]
    answer = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=10, block=BLOCK_MS)
    streams = answer.items() if isinstance(answer, dict) else answer or []
    return [job for _, jobs in streams for job in jobs]


def work(name: str) -> None:
    """Connect and take jobs until told to stop; raises RedisError when Redis goes away."""
    client = connect()
    create_group(client)
    log("info", "ready", worker=name)
    while not STOPPING.is_set():
        heartbeat()
        for job, fields in next_jobs(client, name):
            process(client, job, fields)
            if STOPPING.is_set():
                # What is left of the batch was not acknowledged: it is taken over.
                return
            heartbeat()


def main() -> int:
    # redis-py 4 also prints, with a traceback, what it raises.
    logging.getLogger("redis.cluster").setLevel(logging.CRITICAL)
    name = f"{socket.gethostname()}-{os.environ.get('SLIPWAY_INSTANCE', os.getpid())}"
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOPPING.set())
    log("info", "started", worker=name)
    while not STOPPING.is_set():
        heartbeat()
        try:
            work(name)
        # In redis-py 4 (Debian 12), an unreachable cluster is no RedisError.
        except (redis.RedisError, RedisClusterException, OSError) as error:
            # The program is alive even when Redis is not: its heart goes on beating.
            log("warning", "redis not ready", error=str(error))
            STOPPING.wait(RETRY_SECONDS)
    log("info", "stopped", worker=name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
