"""A caching HTTP proxy for APT: what never changes under its name is kept, all else is passed through."""

import hashlib
import http.client
import http.server
import os
import pathlib
import re
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

PORT = 3142
STORE = pathlib.Path(sys.argv[1])
# A package file holds its version in its name, and by-hash indexes hold their checksum.
KEPT = re.compile(r"\.deb$|/by-hash/")
PASSED_ON = ("If-Modified-Since", "If-None-Match", "Range", "If-Range", "Cache-Control", "User-Agent")
RETURNED = ("Content-Type", "Content-Length", "Content-Range", "Last-Modified", "ETag", "Accept-Ranges", "Location")

_locks = {}
_locks_lock = threading.Lock()


class KeepRedirects(urllib.request.HTTPRedirectHandler):
    """Hand redirects to APT: it follows them itself, through this proxy where they stay with plain HTTP."""

    def redirect_request(self, *args, **kwargs):
        return None


OPENER = urllib.request.build_opener(KeepRedirects)


def lock_of(name):
    """One lock for each file, so that ten hosts that want it at once download it once."""
    with _locks_lock:
        return _locks.setdefault(name, threading.Lock())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.scheme != "http" or not url.hostname:
            self.send_error(400, "This is a proxy for http:// addresses")
            return
        try:
            if self.command == "GET" and KEPT.search(url.path) and "Range" not in self.headers:
                self.kept()
            else:
                self.passed()
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            self.close_connection = True
            if not getattr(self, "begun", False):
                self.send_error(502, f"{type(error).__name__}: {error}")

    do_HEAD = do_GET

    def kept(self):
        path = STORE / hashlib.sha256(self.path.encode()).hexdigest()
        with lock_of(path.name):
            hit = path.exists()
            if not hit:
                partial = path.with_suffix(f".{os.getpid()}.part")
                with self.upstream({}) as answer:
                    if answer.status != 200:
                        self.relay(answer)
                        return
                    with open(partial, "wb") as output:
                        while block := answer.read(1 << 16):
                            output.write(block)
                    expected = answer.headers.get("Content-Length")
                if expected is not None and int(expected) != partial.stat().st_size:
                    partial.unlink()
                    raise http.client.IncompleteRead(b"")
                partial.replace(path)
        self.log_message("%s %s", "HIT" if hit else "MISS", self.path)
        with open(path, "rb") as stored:
            self.begin(200, {"Content-Length": str(os.fstat(stored.fileno()).st_size)})
            while block := stored.read(1 << 16):
                self.wfile.write(block)

    def passed(self):
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        with self.upstream(headers) as answer:
            self.log_message("PASS %s %s", answer.status, self.path)
            self.relay(answer)

    def upstream(self, headers):
        request = urllib.request.Request(self.path, headers=headers, method=self.command)
        try:
            return OPENER.open(request, timeout=60)
        except urllib.error.HTTPError as answer:
            return answer

    def relay(self, answer):
        headers = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
        empty = self.command == "HEAD" or answer.status in (204, 304)
        if "Content-Length" not in headers and not empty:
            headers["Connection"] = "close"
            self.close_connection = True
        self.begin(answer.status, headers)
        if not empty:
            while block := answer.read(1 << 16):
                self.wfile.write(block)

    def begin(self, status, headers):
        self.begun = True
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def handle_one_request(self):
        self.begun = False
        super().handle_one_request()

    def log_message(self, format, *args):
        print(self.client_address[0], format % args, flush=True)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("", PORT), Handler).serve_forever()
