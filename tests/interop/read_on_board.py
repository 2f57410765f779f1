# Run under MicroPython: read_on_board.py DEVICE_TYPE ARTIFACT...
# One line of JSON for each Artifact: what the board's own reader says of it.
import hashlib
import json
import sys

from instar.artifact.reader import Reader
from instar.errors import Rejected


class Sink:
    def __init__(self, files, name):
        self._files = files
        self._name = name
        self._running = hashlib.sha256()
        self.write = self._running.update

    def close(self):
        self._files[self._name] = self._running.digest().hex()


def read(path, device_type):
    files = {}
    found = {}

    def on_header(header):
        header.check({"device_type": device_type})
        found.update(header.__dict__)

    reader = Reader(on_header, lambda name, size: Sink(files, name))
    chunk = memoryview(bytearray(1024))
    try:
        with open(path, "rb") as source:
            while count := source.readinto(chunk):
                reader.feed(chunk[:count])
        reader.finish()
    except Rejected as error:
        return {"rejected": str(error)}
    finally:
        reader.close()
    found["sinks"] = files
    return found


for path in sys.argv[2:]:
    print(json.dumps(read(path, sys.argv[1])))
