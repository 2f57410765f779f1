# Run under MicroPython: install_on_board.py ARTIFACT, with {path: text or null} as JSON in stdin.
# Installs the Artifact on a LittleFS that holds these files, and prints lines of JSON: what the
# installer says of itself, the files after the installation, and those after the rollback.
import asyncio
import json
import sys

from littlefs import Disk, files

from instar.artifact.reader import Reader
from instar.installers import INSTALLERS, make
from instar.settings import Settings


class Board:
    def feed(self):
        pass


class Download:
    """Makes the installer that the header asks for, and gives it the files."""

    def on_header(self, header):
        header.check({"device_type": "esp32"})
        self.installer = make(INSTALLERS, Board(), header.payload_type, None, Settings({}))
        self.installer.begin(header)

    def open_file(self, name, size):
        return self.installer.download(name, size)


def download(path):
    found = Download()
    reader = Reader(found.on_header, found.open_file)
    chunk = memoryview(bytearray(1024))
    with open(path, "rb") as source:
        while count := source.readinto(chunk):
            reader.feed(chunk[:count])
    reader.finish()
    return found.installer


def say(value):
    print(json.dumps(value))


def texts():
    return {path: data and data.decode() for path, data in files("/data").items()}


def main(path):
    before = {name: data and data.encode() for name, data in json.load(sys.stdin).items()}
    with Disk(before, sectors=64):
        installer = download("/host" + path)
        say({"reboots": installer.needs_reboot, "rollback": installer.supports_rollback})
        asyncio.run(installer.install())
        say(texts())
        asyncio.run(installer.rollback())
        asyncio.run(installer.cleanup())
        say(texts())


main(sys.argv[1])
