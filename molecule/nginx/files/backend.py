"""A member for tests: answers who it is, sleeps when asked to, echoes websockets. Standard library only.

backend.py PORT [ADDRESS [NAME]]

Sessions are cookies or tokens USER.TIER; answers name both in X-User-Id and X-User-Tier. /login?as=USER.TIER begins
one, /logout ends it, /busy tells when to come again.

GET /whoami, /slow?seconds=0.5, /headers, /status?code=500, /redirect?to=/whoami (X-Accel-Redirect), with
&header=Name:Value (as often as wanted) and &size=5000 added to any of them; POST anything;
websockets at any path.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from urllib.parse import parse_qs, urlsplit

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, name: str) -> None:
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nX-Member: {name}\r\n\r\n".encode()
    )
    while True:
        head = await reader.readexactly(2)
        length = head[1] & 0x7F
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        mask = await reader.readexactly(4)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(length)))
        if head[0] & 0x0F == 8:
            return
        text = name.encode() + b":" + data
        writer.write(bytes([0x81, len(text)]) + text)
        await writer.drain()


def identity(path: str, query: dict[str, str], headers: dict[str, str]) -> str:
    """Header lines about who asks."""
    if path.endswith("/busy"):
        return "Retry-After: 7\r\n"
    if path.endswith("/logout"):
        return "X-User-Id: \r\n"
    if path.endswith("/login") and "as" in query:
        return f"Set-Cookie: session={query['as']}; Path=/\r\n" + names(query["as"])
    cookies = dict(cookie.strip().partition("=")[::2] for cookie in headers.get("cookie", "").split(";"))
    return names(cookies.get("session") or headers.get("authorization", "").split(" ")[-1])


def names(session: str) -> str:
    user, dot, tier = session.partition(".")
    return f"X-User-Id: {user}\r\nX-User-Tier: {tier}\r\n" if dot else ""


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _version = head[0].split(" ")
            headers = {
                key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)
            }
            await reader.readexactly(int(headers.get("content-length", 0)))
            if headers.get("upgrade", "").lower() == "websocket":
                await websocket(reader, writer, headers["sec-websocket-key"], name)
                return
            url = urlsplit(target)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            await asyncio.sleep(float(query.get("seconds", 0)))
            extra = f"X-Accel-Redirect: {query['to']}\r\n" if url.path == "/redirect" else ""
            if url.path == "/own":
                extra = "X-Frame-Options: DENY\r\n"
            extra += identity(url.path, query, headers) if query.get("code") != "401" else ""
            extra += "".join(f"{line}\r\n" for line in parse_qs(url.query).get("header", []))
            body = (
                b" " * int(query.get("size", 0))
                + json.dumps({"member": name, "method": method, "path": target, "headers": headers}).encode()
            )
            writer.write(
                f"HTTP/1.1 {query.get('code', 200)} Answer\r\nContent-Type: application/json\r\nX-Member: {name}\r\n"
                f"{extra}Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, address: str = "127.0.0.1", name: str = "") -> None:
    server = await asyncio.start_server(lambda r, w: answer(r, w, name or str(port)), address, port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
