"""Stands in for nginx's admin socket: what the files say is what it runs, counts come from a file, /sync may fail.

admin.py SOCKET POOLS STATES COUNTS; counts: {"app1:3000": {"in_flight": 1, "websockets": 0}, "fail": "why /sync fails"}
"""

from __future__ import annotations

import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET, POOLS, STATES, COUNTS = sys.argv[1:]


def load(path: str) -> dict:
    return json.loads(Path(path).read_text()) if Path(path).exists() else {}


def read_states() -> dict:
    return {name: load(f"{STATES}/{name}.json").get("members", {}) for name in load(POOLS)}


class Handler(BaseHTTPRequestHandler):
    states = read_states()

    def do_GET(self) -> None:
        counts = load(COUNTS)
        pools = {}
        for name, pool in load(POOLS).items():
            none = {"state": "active", "in_flight": 0, "websockets": 0, "failures": 0, "failing": False}
            pools[name] = {
                "members": [
                    {**none, **member, **self.states[name].get(member["name"], {}), **counts.get(member["name"], {})}
                    for member in pool["members"]
                ]
            }
        self.answer(200, {"pools": pools, "keepalive_timeout_seconds": 1})

    def do_POST(self) -> None:
        if "fail" in load(COUNTS):
            self.answer(500, {"error": load(COUNTS)["fail"]})
        else:
            Handler.states = read_states()
            self.do_GET()

    def answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self) -> str:
        return "unix"


socketserver.ThreadingUnixStreamServer(SOCKET, Handler).serve_forever()
