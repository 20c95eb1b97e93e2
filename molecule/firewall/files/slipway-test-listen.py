"""listen.py PROTOCOL PORT...: sends back whatever comes to these ports, over IPv4 and IPv6."""

import asyncio
import socket
import sys


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def answer(reader, writer):
    while data := await reader.read(1024):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    protocol, numbers = sys.argv[1], [int(port) for port in sys.argv[2:]]
    loop = asyncio.get_running_loop()
    for port in numbers:
        if protocol == "tcp":
            await asyncio.start_server(answer, ["0.0.0.0", "::"], port)
            continue
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            receiver = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            receiver.bind((address, port))
            await loop.create_datagram_endpoint(Echo, sock=receiver)
    await asyncio.Event().wait()


asyncio.run(main())
