"""Visitors over keep-alive connections (HTTP/1.1), who tell an application's answers from its maintenance page.

visitors.py NAME END CONNECTIONS [BODY_BYTES]   prints what they got as JSON, once the file END is there.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE
LAST = time.monotonic() + 120
KINDS = ("application/json", "text/html")


def judge(status: int, headers: dict[str, str], body: str) -> str:
    if status == 200 and "x-member" in headers and body.startswith("{"):
        return "application"
    if status == 503 and headers.get("cache-control") == "no-store" and int(headers.get("retry-after", 0)) > 0:
        if headers["content-type"] == "application/json" and json.loads(body)["error"] == "maintenance":
            return "page"
        if "Down for maintenance" in body and body.rstrip().endswith("</html>"):
            return "page"
    return f"{status} {headers} {body[:200]}"


async def visit(name: str, end: Path, number: int, size: int) -> Counter:
    seen: Counter = Counter()
    stream = None
    request = (
        f"{'POST' if size else 'GET'} /whoami HTTP/1.1\r\nHost: {name}\r\nAccept: {KINDS[number % 2]}\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode() + b"x" * size
    while not end.exists() and time.monotonic() < LAST:
        try:
            if stream is None:
                stream = await asyncio.open_connection("127.0.0.1", 443, ssl=CONTEXT, server_hostname=name)
                seen["connections"] += 1
            reader, writer = stream
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = (await reader.readexactly(int(headers["content-length"]))).decode()
        except (OSError, asyncio.IncompleteReadError) as error:
            seen[repr(error)] += 1
            stream = None
            continue
        seen[judge(int(head[0].split(" ")[1]), headers, body)] += 1
        if headers.get("connection") == "close":
            writer.close()
            stream = None
        await asyncio.sleep(0.03)
    return seen


async def main(name: str, end: str, connections: str, size: str = "0") -> None:
    found = await asyncio.gather(*(visit(name, Path(end), number, int(size)) for number in range(int(connections))))
    print(json.dumps(sum(found, Counter())))


asyncio.run(main(*sys.argv[1:]))
