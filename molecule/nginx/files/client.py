"""Clients for tests, run on the edge host itself: what they saw, as JSON. Standard library only.

client.py load NAME PATH SECONDS CONNECTIONS [METHOD]   keep-alive connections that ask again and again
client.py spread NAME PATH ADDRESSES                    one request each from 127.1.0.1, 127.1.0.2, ...
client.py sockets NAME PATH COUNT SECONDS               websockets that send something each 0.1 s
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


async def connect(name: str, source: str | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    local = (source, 0) if source else None
    return await asyncio.open_connection("127.0.0.1", 443, ssl=CONTEXT, server_hostname=name, local_addr=local)


async def ask(reader, writer, name: str, path: str, method: str = "GET") -> tuple[int, str, bool]:
    body = b"x" * 100 if method == "POST" else b""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(lines["content-length"]))
    return int(head.split(" ")[1]), lines.get("x-member", "none"), lines.get("connection") == "close"


async def load(name: str, path: str, seconds: float, connections: int, method: str = "GET") -> dict:
    end = time.monotonic() + seconds
    statuses, members, errors = Counter(), Counter(), []
    slowest = 0.0

    async def one() -> None:
        nonlocal slowest
        stream = None
        while time.monotonic() < end:
            begin = time.monotonic()
            try:
                stream = stream or await connect(name)
                status, member, closes = await ask(*stream, name, path, method)
            except (OSError, asyncio.IncompleteReadError) as error:
                errors.append(repr(error))
                stream = None
                continue
            statuses[status] += 1
            members[member] += 1
            slowest = max(slowest, time.monotonic() - begin)
            if closes:
                stream[1].close()
                stream = None
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(connections)))
    return {"statuses": statuses, "members": members, "errors": errors, "slowest": slowest}


async def spread(name: str, path: str, addresses: int) -> dict:
    found = {}
    for number in range(1, addresses + 1):
        source = f"127.1.{number // 250}.{number % 250 + 1}"
        reader, writer = await connect(name, source)
        found[source] = (await ask(reader, writer, name, path))[1]
        writer.close()
    return found


async def sockets(name: str, path: str, count: int, seconds: float) -> dict:
    async def one(number: int) -> tuple[str, bool]:
        source = f"127.2.{number // 250}.{number % 250 + 1}"
        reader, writer = await connect(name, source)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if " 101 " not in head or "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" not in head:
            return head.split("\r\n")[0], False
        member = ""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                writer.write(b"\x81\x82\0\0\0\0hi")
                length = (await reader.readexactly(2))[1]
                member, _, text = (await reader.readexactly(length)).decode().partition(":")
                if text != "hi":
                    return member, False
                await asyncio.sleep(0.1)
        except (OSError, asyncio.IncompleteReadError):
            return member, False
        writer.close()
        return member, True

    results = await asyncio.gather(*(one(number) for number in range(count)))
    lasted, broke = Counter(m for m, ok in results if ok), Counter(m for m, ok in results if not ok)
    return {"lasted": lasted, "broke": broke}


async def main(mode: str, name: str, path: str, *numbers: str) -> None:
    if mode == "load":
        result = await load(name, path, float(numbers[0]), int(numbers[1]), *numbers[2:])
    elif mode == "spread":
        result = await spread(name, path, int(numbers[0]))
    else:
        result = await sockets(name, path, int(numbers[0]), float(numbers[1]))
    print(json.dumps(result))


asyncio.run(main(*sys.argv[1:]))
