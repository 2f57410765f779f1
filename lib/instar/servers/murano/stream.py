# A content of a Murano product as it arrives, and what Murano says of it. Apart from content.py,
# which can be unloaded meanwhile: the heap is full while an update is taken in.
#
#   stream = await murano.download("fw.bin", offset, found)
#   async for view in stream: ...                            # stream.offset counts along
#   await stream.close()
# SPDX-License-Identifier: MIT

from ...errors import Rejected, Transient


class Info:
    """What Murano says of a content. type: its media type; size: bytes, an int; updated: the time
    of its last change as it came (seconds since 1970); description: may be empty."""

    def __init__(self, type, size, updated, description):
        self.type = type
        self.size = size
        self.updated = updated
        self.description = description


class Download:
    """Views of a content in order. offset: of the next byte; total: where what was asked for ends;
    info: the content's Info, for the next try.

    Every view is valid until the next. Raises Transient when the bytes end early or go on too
    long, Rejected when the content was replaced meanwhile.
    """

    def __init__(self, murano, id, info, response, span, body):
        self.info = info
        self.offset, self.total = span
        self._murano = murano
        self._id = id
        self._response = response
        self._at, self._end = body  # of the content, in the answer: it may be more than wanted

    def close(self):
        """Done with it; before the end this costs the connection."""
        return self._response.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.offset == self.total < self._end:
            await self.close()
        async for view in self._response:
            start = self._at
            self._at += len(view)
            if self._at > self._end:
                await self.close()
                raise Transient("download: expected %d bytes, got more" % self._end)
            view = view[max(0, self.offset - start) : max(0, self.total - start)]
            if view:
                self.offset += len(view)
                return view
        if self.offset < self.total:
            text = "download: expected the bytes up to %d, ended after %d"
            raise Transient(text % (self.total, self._at))
        check_same(self.info, await self._murano.info(self._id))
        raise StopAsyncIteration


def check_same(before, now):
    """Raise Rejected if the Infos are of different contents. There is no better sign."""
    if before.size != now.size or before.updated != now.updated:
        text = "content was replaced while it was downloaded: expected %d bytes of %s"
        text += ", got %d of %s"
        raise Rejected(text % (before.size, before.updated, now.size, now.updated))
