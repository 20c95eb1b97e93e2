"""requests.py PATH COUNT: so many requests to the edge on this host, at the same time."""

from __future__ import annotations

import http.client
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

# The certificate is not what is tested here.
CONTEXT = ssl._create_unverified_context()


def ask(path: str) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", 443, timeout=10, context=CONTEXT)
    connection.request("GET", path, headers={"Host": "shop.test"})
    return connection.getresponse().status


with ThreadPoolExecutor(20) as pool:
    print(sorted(pool.map(ask, [sys.argv[1]] * int(sys.argv[2]))))
