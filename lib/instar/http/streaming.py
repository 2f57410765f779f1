# Bodies that come piece by piece: of a known length, or in chunks. Rare: in the heap only
# while one is sent.
#
#   await send_pieces(request, connection)      # request: see request.py; its body is iterable
#   await send_chunks(request, connection)
# SPDX-License-Identifier: MIT

from ..errors import Rejected
from .request import SMALL


async def send_pieces(request, connection):
    """Raises Rejected, with the body half sent, if that is not as long as it said."""
    left = size = len(request.body)
    first = True
    async for piece in request.body:
        left -= len(piece)
        if left < 0:
            break
        if first:
            await request.send_first(connection, piece)
        else:
            await connection.write(piece)
        first = False
    if left:
        text = "body: expected %d bytes as its length says, got %d"
        raise Rejected(text % (size, size - left))
    if first:
        await connection.write(request.head)


async def send_chunks(request, connection):
    """The head leaves with the first chunk, the end with the last."""
    held = request.head  # waits for company
    async for chunk in request.body:
        if not len(chunk):
            continue  # a chunk of size 0 would end the body
        size = b"%x\r\n" % len(chunk)
        if len(held) + len(size) + len(chunk) > SMALL:
            await connection.write(held)
            held = b""
        held += size + bytes(chunk) + b"\r\n"
    await connection.write(held + b"0\r\n\r\n")
