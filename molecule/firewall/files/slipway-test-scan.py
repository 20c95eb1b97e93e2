"""scan.py PROTOCOL SOURCE DESTINATION FIRST-LAST...: the ports that packets from SOURCE get through to, as JSON.

A TCP port that is let in answers, if only that nobody listens; a dropped packet has no answer. Of UDP only an echo is
an answer.
"""

import errno
import json
import resource
import select
import socket
import sys
import time

BATCH = 4000
# Within a namespace answers take less than a millisecond; before a second is over, the kernel tries again.
WAIT_SECONDS = 0.8


def ports(spans):
    for span in spans:
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)


def tcp(source, destination, batch):
    poll = select.epoll()
    waiting = {}
    reached = []
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    for port in batch:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.bind((source, 0))
        result = connection.connect_ex((destination, port))
        if result in (0, errno.ECONNREFUSED):
            reached.append(port)
        elif result != errno.EINPROGRESS:
            raise OSError(result, f"port {port}")
        waiting[connection.fileno()] = (connection, port)
        poll.register(connection, select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP)
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        for number, _event in poll.poll(max(0, ends - time.monotonic())):
            poll.unregister(number)
            connection, port = waiting[number]
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED):
                reached.append(port)
    for connection, _port in waiting.values():
        connection.close()
    return reached


def udp(source, destination, batch):
    reached = []
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    for port in batch:
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            sender.settimeout(WAIT_SECONDS)
            sender.sendto(b"?", (destination, port))
            try:
                sender.recvfrom(16)
                reached.append(port)
            except OSError:
                pass
    return reached


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    protocol, source, destination = sys.argv[1:4]
    wanted = list(ports(sys.argv[4:]))
    found = []
    for start in range(0, len(wanted), BATCH):
        found += {"tcp": tcp, "udp": udp}[protocol](source, destination, wanted[start : start + BATCH])
    print(json.dumps(sorted(set(found))))


main()
