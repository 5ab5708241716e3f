"""A WebSocket server by Python's package `websockets`: echoes, and says what it saw."""

import asyncio
import contextlib
import http
import json
import sys
import urllib.parse

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

# How to compress: the parameters as the header names them, or nothing for no compression. It compresses what is small
# too, and says windows of the server only where the client named them.
compression = json.loads(sys.argv[1])
PIECE_BYTES = 1000
PROTOCOLS = ["chat.v2", "chat.v1"]

# How connections ended that were not asked about yet.
ended = asyncio.Queue()


def pieces(message):
    content = message.encode() if isinstance(message, str) else message
    return [content[at : at + PIECE_BYTES] for at in range(0, len(content), PIECE_BYTES)] or [b""]


async def on_connection(connection):
    url = urllib.parse.urlsplit(connection.request.path)
    # However it ended, it ended.
    with contextlib.suppress(ConnectionClosed):
        await talk(connection, url)
    await connection.wait_closed()
    if url.path == "/echo":
        ended.put_nowait([connection.close_code, connection.close_reason])


async def talk(connection, url):
    asked = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    if url.path == "/told":
        await connection.send(json.dumps(await ended.get()))
    elif url.path == "/protocol":
        await connection.send(connection.subprotocol or "none")
    elif url.path == "/extensions":
        await connection.send(",".join(extension.name for extension in connection.protocol.extensions))
    elif url.path == "/close":
        await connection.close(int(asked["code"]), asked["reason"])
    elif url.path == "/ping":
        async for message in connection:
            await (await connection.ping(message))
            await connection.send("pong " + message)
    elif url.path == "/pieces":
        async for message in connection:
            await connection.send(pieces(message), text=isinstance(message, str))
    else:
        async for message in connection:
            await connection.send(message)


def choose(_connection, offered):
    return next((ours for ours in PROTOCOLS if ours in offered), None)


def before(connection, request):
    if request.path == "/refuse":
        response = connection.respond(http.HTTPStatus.UNAUTHORIZED, "who are you?\n")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response


async def main():
    extensions = [] if compression is None else [ServerPerMessageDeflateFactory(**compression)]
    server = await serve(
        on_connection, "127.0.0.1", 0, extensions=extensions, compression=None, subprotocols=PROTOCOLS,
        select_subprotocol=choose, process_request=before, max_size=None, ping_interval=None,
    )
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
