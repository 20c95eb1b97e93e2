"""The demo as its user meets it: every instance answers, state is shared, and a second run changes nothing."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import shlex
import socket as sockets
import struct
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import websockets

from tests.support.arguments import arguments_seen
from tests.support.http import Client, context
from tests.support.shop import answers, instances, shop_with
from tests.support.stack import SERVER_NAME, Stack
from tests.support.verify import verified


def answered_by(stack: Stack, instance: str, client: Client, method: str, path: str, body: object = None):
    """Ask until the wanted instance is the one that answers: the pool chooses, a client can't."""
    for _attempt in range(200):
        answer = client.request(method, path, body)
        assert answer.status < 400, answer.body
        if answer.instance == instance:
            return answer
    raise AssertionError(f"{instance} answered none of 200 requests")


def test_each_of_the_four_instances_answers_with_the_release(demo):
    heard = answers(demo)
    assert {answer.status for answer in heard} == {200}
    assert len(instances(demo)) == 4
    assert {answer.instance for answer in heard} == instances(demo)
    assert {answer.json()["release"] for answer in heard} == {demo.facts("sample_app")["release"]}
    assert not any("x-release" in answer.headers for answer in heard), "which is for the edge's log"


def test_plain_http_leads_to_https(demo):
    connection = http.client.HTTPConnection(demo.edge, 80, timeout=5)
    connection.request("GET", "/api/notes?x=1", headers={"Host": SERVER_NAME})
    answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert answer.getheader("Location") == f"https://{SERVER_NAME}/api/notes?x=1"


def test_a_row_written_through_one_instance_is_read_through_another(demo):
    client, text = Client(demo), f"note {uuid.uuid4()}"
    written = client.post("/api/notes", {"text": text})
    assert written.status == 201
    other = next(name for name in sorted(instances(demo)) if name != written.instance)
    read = answered_by(demo, other, client, "GET", "/api/notes")
    assert text in [note["body"] for note in read.json()["notes"]]


def test_a_session_holds_across_all_instances(demo):
    client = Client(demo)
    assert client.post("/api/session", {"user": "ada"}).status == 201
    for name in sorted(instances(demo)):
        assert answered_by(demo, name, client, "GET", "/api/session").json()["user"] == "ada"


def test_the_worker_takes_what_the_shop_queued(demo):
    client = Client(demo)
    before = client.get("/api/mail").json()
    assert client.post("/api/notes", {"text": "for the worker"}).status == 201

    async def processed() -> None:
        for _attempt in range(100):
            now = client.get("/api/mail").json()
            if now["processed"] > before["processed"]:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not processed within 10 s: {client.get('/api/mail').body}")

    asyncio.run(processed())


def websocket_of(stack: Stack):
    """A websocket through the edge; this machine's address decides which instance it sticks to."""
    return websockets.connect(f"wss://{SERVER_NAME}/ws", host=stack.edge, port=443, ssl=context(stack), open_timeout=10)


async def hear(websocket, kind: str) -> dict:
    while True:
        message = json.loads(await asyncio.wait_for(websocket.recv(), 10))
        if message["type"] == kind:
            return message


# A client on app1, with an address of its own, since clients stick to an instance by their address. It joins the
# lobby and prints who welcomed it and what it hears.
NEIGHBOUR = """
const fs = require('node:fs');
const WebSocket = require('/srv/slipway/shop/current/node_modules/ws');
const [edge, name, localAddress] = process.argv.slice(1);
const client = new WebSocket(`wss://${edge}/ws`, {
  localAddress, servername: name, headers: { Host: name }, ca: fs.readFileSync('/etc/slipway/tls/ca.crt'),
});
client.on('message', (data) => {
  const message = JSON.parse(data);
  if (message.type === 'welcome') client.send(JSON.stringify({ type: 'join', room: 'lobby' }));
  console.log(JSON.stringify(message));
});
"""
# The other end of an SSH connection that is cut runs on: it ends by itself.
NEIGHBOUR_SECONDS = 20


def next_of(neighbour: subprocess.Popen[str]) -> dict:
    """What the neighbour heard next; it ends on its own, so this waits no longer than that."""
    line = neighbour.stdout.readline()
    assert line, f"the client on app1 heard nothing more within its {NEIGHBOUR_SECONDS} s"
    return json.loads(line)


@contextmanager
def neighbour(stack: Stack, not_of: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A client in the lobby whose address leads it to another instance than the named one."""
    network = stack.address("app1").rpartition(".")[0]
    for number in range(201, 231):
        address = f"{network}.{number}"
        stack.shell("app1", f"ip address replace {address}/24 dev eth0")
        program = ["sudo", "timeout", str(NEIGHBOUR_SECONDS), "node", "-e", NEIGHBOUR]
        client = stack.start("app1", [*program, "--", stack.edge, SERVER_NAME, address])
        try:
            welcome = next_of(client)
            if welcome["instance"] != not_of:
                assert next_of(client)["type"] == "joined"
                yield welcome["instance"], client
                return
        finally:
            client.kill()
            client.wait()
            stack.shell("app1", f"ip address del {address}/24 dev eth0")
    raise AssertionError(f"30 addresses were all led to {not_of}")


def test_a_websocket_message_reaches_a_client_of_another_instance(demo):
    async def talk() -> None:
        async with websocket_of(demo) as here:
            mine = (await hear(here, "welcome"))["instance"]
            with neighbour(demo, not_of=mine) as (theirs, there):
                assert theirs in instances(demo) - {mine}
                await here.send(json.dumps({"type": "join", "room": "lobby"}))
                await hear(here, "joined")
                await here.send(json.dumps({"type": "message", "room": "lobby", "text": "hello"}))
                assert next_of(there)["text"] == "hello"

    asyncio.run(talk())


def test_a_client_address_sticks_to_its_instance(demo):
    async def welcomed() -> str:
        async with websocket_of(demo) as websocket:
            return str((await hear(websocket, "welcome"))["instance"])

    async def all_of_them() -> set[str]:
        return {await welcomed() for _number in range(6)}

    assert len(asyncio.run(all_of_them())) == 1


def test_site_again_changes_nothing(demo):
    run = demo.playbook("site")
    assert run.status == 0, run.output
    assert run.changed == dict.fromkeys(demo.hosts, 0), run.output


def test_site_in_check_mode_finds_nothing_to_do(demo):
    run = demo.playbook("site", "--check", "--diff")
    assert run.status == 0, run.output
    assert run.changed == dict.fromkeys(demo.hosts, 0), run.output
    assert not re.search(r"^(\+\+\+|---) ", run.output, re.MULTILINE), run.output


def test_no_secret_in_output_logs_or_arguments(demo):
    secrets = [path.read_text().split()[0] for path in (demo.inventory / ".secrets").iterdir() if path.is_file()]
    assert len(secrets) >= 3
    hosts = ("app1", "data1")
    limit = ("--limit", ",".join(hosts))
    try:
        with arguments_seen(demo, hosts) as arguments:
            run = demo.playbook("site", "--diff", "-vvv", *limit, *shop_with(memory_limit_mb=257))
    finally:
        restored = demo.playbook("site", *limit)
    assert run.status == 0, run.output
    assert run.changed["app1"] > 0
    assert restored.status == 0, restored.output
    assert restored.changed["app1"] > 0
    for secret in secrets:
        assert secret not in run.output
    for host in hosts:
        # What a task of the run begins with: the sampler did look at the run.
        assert "BECOME-SUCCESS-" in arguments[host], host
        for secret in secrets:
            assert secret not in arguments[host], host
    for host in demo.hosts:
        seen = demo.shell(host, 'journalctl -q --no-pager; cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "')
        for secret in secrets:
            assert secret not in seen, host


def test_verify_is_healthy(demo, tmp_path):
    assert verified(demo, tmp_path).changed == dict.fromkeys(demo.hosts, 0)


def is_open(address: str, port: int) -> bool:
    """Whether this machine, which is none of the stack's hosts, gets a connection."""
    try:
        sockets.create_connection((address, port), 1).close()
    except TimeoutError:
        return False
    return True


def test_a_stranger_reaches_the_edge_and_ssh_alone(demo):
    ports = (22, 80, 443, 3000, 3001, 5432, 6379, 6380, 16379)
    with ThreadPoolExecutor(len(ports)) as pool:
        for host in demo.hosts:
            got = pool.map(is_open, [demo.address(host)] * len(ports), ports)
            reached = {port for port, answered in zip(ports, got, strict=True) if answered}
            assert reached == ({22, 80, 443} if host in demo.groups["edge"] else {22}), host


def ask(demo: Stack, port: int, question: bytes) -> str:
    """What data1 answers app1, which the firewall lets in."""
    program = (
        "import socket; "
        f"connection = socket.create_connection(({demo.address('data1')!r}, {port}), 5); "
        f"connection.sendall({question!r}); "
        "print(connection.recv(500))"
    )
    return demo.shell("app1", f"python3 -c {shlex.quote(program)}")


def test_redis_refuses_who_has_no_password(demo):
    assert "NOAUTH" in ask(demo, 6379, b"PING\r\n")


def test_postgresql_refuses_who_does_not_speak_tls(demo):
    startup = struct.pack("!i", 196608) + b"user\0shop\0database\0shop\0\0"
    assert "no pg_hba.conf entry" in ask(demo, 5432, struct.pack("!i", len(startup) + 4) + startup)
