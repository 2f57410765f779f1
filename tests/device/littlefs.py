# A board's LittleFS in place of the host's file system, on the simulated flash chip, for tests
# that cut the power. The host's files go on under /host.
#
#   disk = Disk({"/data/a.txt": b"old"})        # mounted at /
#   start = disk.image()
#   disk.on(start, cut=(3, "torn"))             # the power fails during the third operation
#   try: ...
#   except Ended: disk.on()                     # what lies there now
import gc
import os
import sys
from errno import EIO

import nor
import simchip
import vfs

Ended = simchip.Ended
BEFORE, TORN, RAGGED, AFTER = HOWS = (nor.BEFORE, nor.TORN, nor.RAGGED, nor.AFTER)
_SECTOR = 4096


class _Chip(nor.Flash):
    """A chip that does nothing more once its power was cut: finalisers of open files try to."""

    off = False

    def _step(self, kind, address, length):
        if self.off:
            raise Ended("no power")
        return nor.Flash._step(self, kind, address, length)

    def _power_off(self):
        self.off = True
        nor.Flash._power_off(self)


class _Blocks:
    """The chip as a block device, with the operations of esp32.Partition."""

    def __init__(self, chip):
        self._chip = chip

    def readblocks(self, n, buf, off=0):
        self._chip.read(n * _SECTOR + off, buf)

    def writeblocks(self, n, buf, off):
        if self._chip.off:
            return -EIO
        self._chip.program(n * _SECTOR + off, buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self._chip.size // _SECTOR
        if op == 5:
            return _SECTOR
        if op == 6:
            self._chip.erase(arg * _SECTOR)
        return 0


class Disk:
    """The file system with `files` {path: bytes, or None for a folder} on it, mounted at /.

    options: of VfsLfs2, which differ from port to port: mtime, progsize and so on.
    """

    def __init__(self, files=(), sectors=48, **options):
        self._options = {"mtime": False}
        self._options.update(options)
        self._path = "/tmp/instar-lfs-" + os.urandom(6).hex()
        with open(self._path, "wb") as file:
            for _ in range(sectors):
                file.write(b"\xff" * _SECTOR)
        self._path = "/host" + self._path
        vfs.mount(vfs.VfsPosix("/"), "/host")
        _move_imports()
        self._chip = _Chip(self._path)
        sizes = {name: size for name, size in options.items() if name != "mtime"}
        vfs.VfsLfs2.mkfs(_Blocks(self._chip), **sizes)
        self.on()
        for path in sorted(files):
            write(path, files[path])

    def on(self, image=None, cut=None):
        """Power, with a count of operations of its own. image: what the flash shall hold."""
        self._chip.off = True
        try:
            vfs.umount("/")
        except (OSError, Ended):
            pass  # the host's, at first; or one that lost its power
        gc.collect()
        if image is not None:
            with open(self._path, "r+b") as file:
                file.write(image)
        self._chip = _Chip(self._path, cut=cut)
        vfs.mount(vfs.VfsLfs2(_Blocks(self._chip), **self._options), "/")

    @property
    def ops(self):
        return self._chip.ops

    def image(self):
        """All bytes of the flash."""
        data = bytearray(self._chip.size)
        self._chip.read(0, data)
        return bytes(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.remove(self._path)


def _move_imports():
    sys.path[:] = ["/host" + p if p[:1] == "/" else p for p in sys.path]
    for module in sys.modules.values():
        if getattr(module, "__path__", "")[:1] == "/":
            module.__path__ = "/host" + module.__path__


def write(path, data):
    """A file, or a folder where data is None; folders on the way are made."""
    parts = path.split("/")
    for i in range(2, len(parts) + (data is None)):
        if not _is_there("/".join(parts[:i])):
            os.mkdir("/".join(parts[:i]))
    if data is not None:
        with open(path, "wb") as file:
            file.write(data)


def _is_there(path):
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def files(path="/"):
    """{path: bytes, or None for a folder} of all that lies below `path`, or at it."""
    if not _is_there(path):
        return {}
    if not os.stat(path)[0] & 0x4000:
        with open(path, "rb") as file:
            return {path: file.read()}
    found = {} if path == "/" else {path: None}
    for name in os.listdir(path):
        if path != "/" or name != "host":
            found.update(files(path.rstrip("/") + "/" + name))
    return found
