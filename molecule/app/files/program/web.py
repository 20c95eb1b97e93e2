"""A program with a port, for the tests of the role: it tells what it sees, and misbehaves when asked to."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HELD = []


class Server(ThreadingHTTPServer):
    # Requests in flight are finished before the program ends.
    daemon_threads = False
    block_on_close = True


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        answers = {"/readyz": self.ready, "/environment": self.environment, "/slow": self.slow}
        answers.update({"/write": self.write, "/read": self.read, "/hog": self.hog})
        body = json.dumps(answers[url.path](query)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ready(self, query: dict) -> dict:
        return {"ready": True, "pid": os.getpid()}

    def environment(self, query: dict) -> str | None:
        return os.environ.get(query["name"])

    def slow(self, query: dict) -> dict:
        time.sleep(float(query["seconds"]))
        return {"pid": os.getpid()}

    def write(self, query: dict) -> str:
        try:
            Path(query["path"]).write_text("x")
        except OSError as error:
            return error.strerror or "refused"
        return "written"

    def read(self, query: dict) -> str:
        try:
            return Path(query["path"]).read_text()
        except OSError as error:
            return error.strerror or "refused"

    def hog(self, query: dict) -> None:
        while True:
            HELD.append(bytearray(os.urandom(1024) * 8192))

    def log_message(self, template: str, *values: object) -> None:
        pass


server = Server((os.environ["HOST"], int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
