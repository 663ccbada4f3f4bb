#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A WebSocket server of the package websockets, for test_ws_server.c.

    ws_server.py [CERTIFICATE KEY]      with TLS if they are given, two files in PEM

It listens on a free port of 127.0.0.1, prints the port, and ends when its standard input closes. It
prints a line for each connection that ended: the code and the reason that it saw. The path says what
it does:

    /echo             sends back each message
    /fragments        the same, in fragments of 1000
    /ping             sends a ping, waits for the pong, sends "pong"
    /close/CODE/WHY   closes after a message
    /flood            sends messages without an end, and reads none
    /name             sends the subprotocol that it selected: "two", if the client supports it
    /secret           refuses with 401 unless there is a header X-Secret
"""
import asyncio
import http
import ssl
import sys

import websockets

LIMIT = 2 << 20  # of a message


async def echo(ws, pieces):
    async for message in ws:
        await ws.send(pieces(message))


def fragments(message):
    return [message[i:i + 1000] for i in range(0, len(message), 1000)] or message


async def flood(ws):
    while True:
        await ws.send(bytes(1000))


async def ping(ws):
    await (await ws.ping(b"are you there"))
    await ws.send("pong")


async def handle(ws):
    what, *rest = ws.path.strip("/").split("/")
    try:
        if what == "echo":
            await echo(ws, lambda message: message)
        elif what == "fragments":
            await echo(ws, fragments)
        elif what == "ping":
            await ping(ws)
        elif what == "flood":
            await flood(ws)
        elif what == "name":
            await ws.send(str(ws.subprotocol))
        elif what == "close":
            await ws.recv()
            await ws.close(int(rest[0]), rest[1])
        await ws.wait_closed()
    except websockets.ConnectionClosed:
        pass
    print(ws.close_code, ws.close_reason, flush=True)


async def check(path, headers):
    if path == "/secret" and "X-Secret" not in headers:
        return http.HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", "Test")], b"no\n"
    return None


async def main():
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
    async with websockets.serve(handle, "127.0.0.1", 0, ssl=context, process_request=check,
                                subprotocols=["two"], max_size=LIMIT) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
