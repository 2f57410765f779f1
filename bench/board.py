# What a board can do: run on the board itself, by mpremote; nothing needed but MicroPython.
#
#   mpremote run bench/board.py
#   mpremote rtc --set + exec "SERVER = 'updates.example'; CA = '/ca.der'" run bench/board.py
#   mpremote exec "FLASH = True" run bench/board.py      # an ESP32's other slot, too: see below
#
# Lines with # in front are for people. The last line is JSON: docs/benchmarks.md has its keys.
# With instar and its settings on the board SERVER is the settings', and the network is joined as
# they say. FLASH: programs the last 64 KiB of the slot that does not run, if they are blank and no
# update is under way, and erases them again: the slot is as it was.
# Limits: means of half a second's work. instar's watchdog runs on, and restarts the board later.
# SPDX-License-Identifier: MIT
import gc
import hashlib
import io
import json
import os
import sys
import time
from binascii import a2b_base64

FLASH = globals().get("FLASH", False)
SERVER = globals().get("SERVER", "")
CA = globals().get("CA", "")
LEAST_MS = globals().get("LEAST_MS", 500)  # of work for a figure

_CHUNK = 4096
_FILE = "bench.tmp"  # in the root, on a board

# The beginning of instar's license as a block of a deflate stream, complete at a byte: many of
# them inflate as text and code do (1.7 to 1), with a table of codes in each block.
_TEXT_SIZE = 512
_BLOCK = a2b_base64(
    b"VFG9agMxDN79FCJTAgctGTp07VRoodC8gM/W5VR81mHpGvL2ldyE0skgffr+/P56gjdKWAVDeOH12ug8K+zTAY6Pxyc4"
    b"zQhURWODuOnMTUL4wLaQCHEFEpix4XiFc4tVMQ8wNUTgCdIc2xkHUIZYr7BiEzvgUSNVqmeIkEwuGFJnoxGe9BIbGjhD"
    b"FOFE0fggc9oWrBrV9SYqKLBXc7X7vF3sDl0kYyyBKvjuvoILmedNoaFoo+Qcg+VJZcvu4b4utNBNwc97BxKMdBNL4D4H"
    b"WDjT5C/2WOs2FpJ5gExOPW5qQ/FhL3PwHA/cQLCUYAxkvnvWP3cd49ZXL1RvFYlPLjMv/5OQhGlr1SSx32S2yrriFyb1"
    b"icMnLoUvHi1xzeSJ5DkE/8U48jf2LL9fXFnN6g8AAAD//w=="
)
_BLOCKS = 24

results = {}
skipped = {}
feed = bool  # does nothing, until there is a watchdog


class Skip(Exception):
    """Not measured here; the text says why."""


def find_instar():
    try:
        from instar import __version__
    except ImportError:
        return None
    return __version__


def watchdog(wdt):
    """What feeds the watchdog that instar may have started; it cannot be stopped."""
    try:
        return wdt(timeout=120000).feed
    except ValueError:
        return wdt(timeout=8388).feed  # an RP2040 takes no more


def largest():
    """Bytes of the largest block that can be taken."""
    gc.collect()
    taken, refused = 0, gc.mem_free() + 1
    while refused - taken > 256:
        size = (taken + refused) // 2
        try:
            bytearray(size)
            taken = size
        except MemoryError:
            refused = size
        gc.collect()
    return taken


def milliseconds(work):
    """How long it takes, in the mean of as many goes as LEAST_MS have."""
    runs = 0
    begin = time.ticks_us()
    while True:
        work()
        runs += 1
        spent = time.ticks_diff(time.ticks_us(), begin)
        if spent >= LEAST_MS * 1000:
            return spent / runs / 1000
        feed()


def kib_s(size, work):
    return round(size / 1.024 / milliseconds(work), 1)


def sha256():
    chunk, running = bytearray(_CHUNK), hashlib.sha256()
    return {"sha256_kib_s": kib_s(_CHUNK, lambda: running.update(chunk))}


def inflate():
    import deflate

    stream = _BLOCK * _BLOCKS + b"\3\0"  # and an empty last block
    out = bytearray(1024)

    def work():
        source = deflate.DeflateIO(io.BytesIO(stream), deflate.RAW, 15)
        total = 0
        while count := source.readinto(out):
            total += count
        if total != _TEXT_SIZE * _BLOCKS:
            raise ValueError(f"inflate: expected {_TEXT_SIZE * _BLOCKS} bytes, got {total}")

    return {"inflate_kib_s": kib_s(_TEXT_SIZE * _BLOCKS, work)}


def files():
    chunk = os.urandom(_CHUNK)

    def whole():
        with open(_FILE, "wb") as file:
            for _ in range(16):
                file.write(chunk)
                feed()

    def record():
        with open(_FILE + ".new", "wb") as file:
            file.write(chunk[:100])
        os.rename(_FILE + ".new", _FILE)

    try:
        speed = kib_s(16 * _CHUNK, whole)
        return {"file_kib_s": speed, "record_ms": round(milliseconds(record), 2)}
    finally:
        os.remove(_FILE)


def spare_slot():
    """The partition that does not run, once nothing speaks against writing to its end."""
    try:
        from esp32 import Partition
    except ImportError:
        raise Skip("no firmware slots") from None
    running = Partition(Partition.RUNNING)
    otadata = Partition.find(Partition.TYPE_DATA, 0)
    if not otadata or running.get_next_update().info() == running.info():
        raise Skip("one app slot only")
    state = bytearray(4)
    for sector in (0, 1):
        otadata[0].readblocks(sector, state, 24)
        if state in (b"\0\0\0\0", b"\1\0\0\0"):  # NEW, PENDING_VERIFY
            raise Skip("firmware is on trial: the other slot is what it would go back to")
    if Partition(Partition.BOOT).info() != running.info():
        raise Skip("another slot than the running one is to start next")
    if ".instar" in os.listdir("/") and "update" in os.listdir("/.instar"):
        raise Skip("an update is under way")
    return running.get_next_update()


def partition():
    if not FLASH:
        raise Skip("off: mpremote exec 'FLASH = True' run bench/board.py")
    spare = spare_slot()
    blocks = range(spare.ioctl(4, 0) - 16, spare.ioctl(4, 0))
    chunk = bytearray(_CHUNK)
    for block in blocks:
        spare.readblocks(block, chunk)
        if chunk != b"\xff" * _CHUNK:
            raise Skip(f"the end of {spare.info()[4]} is not blank: nothing was written")
    noise = os.urandom(_CHUNK)
    print("#   programs and erases the last 64 KiB of", spare.info()[4])

    def kib_s(step):
        begin = time.ticks_us()
        for block in blocks:
            step(block)
        return round(64e6 / max(1, time.ticks_diff(time.ticks_us(), begin)), 1)

    program = kib_s(lambda block: spare.writeblocks(block, noise, 0))
    return {"program_kib_s": program, "erase_kib_s": kib_s(lambda block: spare.ioctl(6, block))}


def drive(generator):
    """A generator of short steps to its end: its value, and its milliseconds."""
    begin = time.ticks_us()
    try:
        while True:
            next(generator)
            feed()
    except StopIteration as stop:
        return stop.value, round(time.ticks_diff(time.ticks_us(), begin) / 1000, 2)


def need_instar():
    if not results["instar"]:
        raise Skip("no instar on the board")


def p256():
    need_instar()
    from instar.crypto import ecdsa

    secret, digest = ecdsa.generate(os.urandom), os.urandom(32)
    point, _ = drive(ecdsa.public(secret))
    (r, s), signing = drive(ecdsa.sign(secret, digest))
    _, verifying = drive(ecdsa.verify(point, digest, r, s))
    return {"p256_sign_ms": signing, "p256_verify_ms": verifying}


def rsa():
    need_instar()
    from instar.crypto import rsa

    # No key and a wrong signature take as long as right ones: nothing is over early.
    number = int.from_bytes(b"\xff" + os.urandom(254) + b"\1", "big")
    signature = b"\0" + os.urandom(255)
    return {"rsa2048_verify_ms": drive(rsa.verify(number, 65537, bytes(32), signature))[1]}


def online():
    """(host, port, CAs in DER) to shake hands with, the network being joined."""
    host, _, port = SERVER.partition(":")
    if host:
        if not CA:
            raise Skip("a SERVER given, but no CA")
        with open(CA, "rb") as file:
            return host, int(port or 443), [file.read(4096)]
    import asyncio

    try:
        from board import Board

        from instar.clock import Clock
        from instar.settings import Settings

        os.stat(Board.settings_path)
    except (ImportError, OSError):
        raise Skip("no SERVER given, and no settings") from None
    settings = Settings.load(Board.settings_path)
    url = settings.mender_url or settings.murano_url or settings.magistrala_url
    if not url.startswith("https://"):
        raise Skip("no SERVER given, and none with https in the settings")
    board = Board(settings.wifi_ssid, settings.wifi_password)
    board.feed = feed
    asyncio.run(board.connect())
    asyncio.run(Clock(board, settings.ntp_host, settings.ntp_port).sync(feed))
    host, _, port = url[8:].partition("/")[0].partition(":")
    return host, int(port or 443), settings.ca_certificates()


def handshake():
    import socket

    import tls

    host, port, authorities = online()
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    for der in authorities:
        context.load_verify_locations(der)
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
    stream = socket.socket()
    try:
        times = [time.ticks_ms()]
        stream.connect(address)
        times.append(time.ticks_ms())
        feed()
        stream = context.wrap_socket(stream, server_hostname=host)
        times.append(time.ticks_ms())
    finally:
        stream.close()
    connect, shake = (time.ticks_diff(times[i + 1], times[i]) for i in (0, 1))
    return {"connect_ms": connect, "tls_ms": shake}


def measure(work):
    name = work.__name__
    feed()
    gc.collect()
    try:
        found = work()
        print("#", name, found)
        results.update(found)
    except Exception as error:  # whatever it is, the others are measured
        skipped[name] = str(error) if isinstance(error, Skip) else repr(error)
        print("#", name, "is skipped:", skipped[name])


def main():
    global feed
    import machine

    results["largest_before"] = largest()
    results["heap_before"] = gc.mem_free()
    what = sys.implementation
    results["board"] = os.uname().machine if hasattr(os, "uname") else what._machine
    results["micropython"] = ".".join(str(part) for part in what.version[:3])
    results["mhz"] = machine.freq() // 1000000 if hasattr(machine, "freq") else None
    results["instar"] = find_instar()
    if results["instar"] and hasattr(machine, "WDT"):
        feed = watchdog(machine.WDT)
    for work in (sha256, inflate, files, partition, p256, rsa, handshake):
        measure(work)
    results["largest_after"] = largest()
    results["heap_after"] = gc.mem_free()
    results["skipped"] = skipped
    print(json.dumps(results))


if __name__ == "__main__":  # a program beside this file may look for its own `board`
    main()
