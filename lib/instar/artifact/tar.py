# A push parser for tar: bytes in as they come, members out. Nothing is stored but one header.
#
#   tar = Tar(handler)      # handler.begin(name, size, kind), handler.data(view), handler.end()
#   tar.feed(view) ...      # any chunking gives the same calls, data views may be split
#   tar.finish()            # the input ended: raises Rejected if the archive did not
#
# ustar, pax (x, g) and GNU long names (L). Sizes are octal; GNU's base-256 sizes and sparse files
# are refused. Header checksums are verified; after the two zero blocks only zeros may follow.
# What a member may be called, and which kinds are welcome, is for the handler to say.
# SPDX-License-Identifier: MIT

from micropython import const

from .refusal import brief, refused

# Kinds of member, as handler.begin gets them: the typeflag of the header, one character.
FILE = "0"
HARD_LINK = "1"
SYMBOLIC_LINK = "2"
DIRECTORY = "5"

_BLOCK = const(512)
_MAX_NAME = const(256)  # bytes; ustar's own limit with a prefix
_MAX_EXTENSION = const(4096)  # bytes of one pax header or GNU long name
_MAX_EXTENSIONS = const(4)  # before one member; writers need one or two
_MAX_PADDING = const(65536)  # zeros after the end; GNU tar fills up to its record size
_EMPTY_KINDS = "123456"  # links, devices, directories, FIFOs: no data, whatever the size says
_EXTENSIONS = "xgL"


class Tar:
    """One archive on its way through.

    Args:
        handler: its begin(name: str, size: int, kind: str) is called for each member, then
            data(view) with the content (possibly never), then end(). What they raise passes on.
        what: how messages call this archive.

    feed and finish raise Rejected for whatever is not a complete, well-formed archive.
    """

    def __init__(self, handler, what="tar"):
        self._handler = handler
        self._what = what
        self._block = bytearray(_BLOCK)
        self._view = memoryview(self._block)
        self._filled = 0  # of the header block
        self._left = 0  # of the member's data
        self._padding = 0  # after the member's data, or zeros after the end
        self.offset = 0  # of the data that follows the latest header
        self._span = 0  # of that data, with its padding
        self._extension = None  # bytearray of the x, g or L being read
        self._extension_kind = ""
        self._path = None  # what extensions said about the next member
        self._size = None
        self._announced = False  # an extended header waits for its member
        self._extensions = 0  # that wait for it
        self._step = self._header
        self._held = False

    def feed(self, view):
        """Take the next bytes of the archive: a memoryview of any length, used only now.

        Returns how many were taken: all of them, unless the handler called hold().
        """
        at = 0
        end = len(view)
        while at < end:
            at += self._step(view[at:])
            if self._held:
                self._held = False
                break
        return at

    def hold(self):
        """For the handler: let feed() return before the next member, or padding, is looked at."""
        self._held = True

    def finish(self):
        """The input is over. Raises Rejected if the archive was cut short."""
        if self._step != self._after_end:
            raise self._refused("more data", "the end, in mid-archive")

    # Each step takes what it can use of the view, sets the next step, and says how much it took.

    def _gather(self, view):
        """Collect one header block: (bytes taken, the block is full)."""
        taken = min(_BLOCK - self._filled, len(view))
        self._view[self._filled : self._filled + taken] = view[:taken]
        self._filled += taken
        full = self._filled == _BLOCK
        if full:
            self._filled = 0
        return taken, full

    def _header(self, view):
        taken, full = self._gather(view)
        if full:
            self.offset += self._span + _BLOCK
            if any(self._block):
                self._member()
            elif not self._announced:
                self._step = self._second_zero
            else:
                raise self._refused("a member after its extended header", "the end of the archive")
        return taken

    def _second_zero(self, view):
        taken, full = self._gather(view)
        if full:
            if any(self._block):
                raise self._refused("two zero blocks at the end", "one")
            self._padding = _MAX_PADDING
            self._step = self._after_end
        return taken

    def _after_end(self, view):
        if any(view):
            raise self._refused("nothing but zeros after the end of the archive", "other bytes")
        self._padding -= len(view)
        if self._padding < 0:
            raise self._refused(
                f"at most {_MAX_PADDING} bytes after the end of the archive", "more"
            )
        return len(view)

    def _data(self, view):
        taken = min(self._left, len(view))
        if self._extension is None:
            self._handler.data(view[:taken])
        else:
            self._extension.extend(view[:taken])
        self._left -= taken
        if not self._left:
            self._data_ended()
        return taken

    def _skip(self, view):
        taken = min(self._padding, len(view))
        self._padding -= taken
        if not self._padding:
            self._step = self._header
        return taken

    def _member(self):
        """A whole header block is there: check it and open the member that it describes."""
        self._check_block()
        kind = chr(self._block[156])
        size = self._octal(124, 136, "size")
        if kind in _EXTENSIONS:
            self._open_extension(kind, size)
        else:
            self._open_member("0" if kind == "\0" else kind, size)
        self._padding = -self._left % _BLOCK
        self._span = self._left + self._padding
        if self._left:
            self._step = self._data
        else:
            self._data_ended()

    def _open_extension(self, kind, size):
        self._extensions += 1
        if self._extensions > _MAX_EXTENSIONS:
            raise self._refused(f"at most {_MAX_EXTENSIONS} extended headers in a row", "more")
        if size > _MAX_EXTENSION:
            raise self._refused(f"an extended header of at most {_MAX_EXTENSION} bytes", size)
        self._extension_kind = kind
        self._extension = bytearray()
        self._announced = True
        self._left = size

    def _open_member(self, kind, size):
        name = self._name() if self._path is None else self._path
        if self._size is not None:
            size = self._size
        self._path = self._size = None
        self._announced = False
        self._extensions = 0
        if not name or len(name.encode()) > _MAX_NAME:
            raise self._refused(f"a member name of 1 to {_MAX_NAME} bytes", len(name.encode()))
        # Parsers disagree on whether such a member has data: whoever writes it wants just that.
        if size and kind in _EMPTY_KINDS:
            raise self._refused(f"no data in {brief(name)} of type {kind!r}", f"{size} bytes")
        self._left = size
        self._handler.begin(name, size, kind)

    def _data_ended(self):
        self._step = self._skip if self._padding else self._header
        if self._extension is None:
            self._handler.end()
        else:
            body, self._extension = bytes(self._extension), None
            self._extended(self._extension_kind, body)

    def _extended(self, kind, body):
        if kind == "L":
            self._path = self._text(body.split(b"\0", 1)[0])
            return
        from .pax import read_pax  # rare: not in the heap without need

        path, size = read_pax(body, self._what)
        if kind == "x":
            self._path = path if path is not None else self._path
            self._size = size if size is not None else self._size
        elif path is not None or size is not None:
            raise self._refused(
                "no path and no size for all members at once", "both or one of them"
            )

    def _check_block(self):
        magic = bytes(self._view[257:265])
        if magic not in (b"ustar\x0000", b"ustar  \0"):
            raise self._refused("a ustar header", f"magic {magic}")
        # The sum is taken with its own field as eight spaces.
        actual = sum(self._view) - sum(self._view[148:156]) + 8 * 32
        stated = self._octal(148, 156, "checksum")
        if stated != actual:
            raise self._refused(f"header checksum {stated:o}", f"{actual:o}")

    def _octal(self, start, end, field):
        """The number in block[start:end]: octal digits between optional blanks and NULs."""
        raw = bytes(self._view[start:end])
        if raw[0] & 0x80:
            raise self._refused(f"an octal {field}", "a base-256 one")
        digits = raw.rstrip(b" \0").lstrip(b" ")
        if not digits or any(not 48 <= byte <= 55 for byte in digits):
            raise self._refused(f"an octal {field}", raw)
        return int(digits, 8)

    def _name(self):
        name = self._until_nul(0, 100)
        # GNU's old format keeps other things where ustar has the prefix.
        if self._block[263] == 48 and self._block[345]:
            name = self._until_nul(345, 500) + b"/" + name
        return self._text(name)

    def _until_nul(self, start, end):
        return bytes(self._view[start:end]).split(b"\0", 1)[0]

    def _text(self, raw):
        try:
            text = str(raw, "utf-8")
            if len(text) == len(raw):
                return text
            from .utf8 import decode  # rare: not in the heap without need

            return decode(raw)
        except UnicodeError:
            raise self._refused("a member name in UTF-8", brief(raw))

    def _refused(self, expected, came):
        return refused(self._what, expected, came)
