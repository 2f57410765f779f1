# What a board can do: run on the board itself, by mpremote; nothing needed but MicroPython.
#
#   mpremote run bench/board.py
#   mpremote exec "SERVER = 'updates.example'; CA = '/ca.der'" run bench/board.py
#   mpremote exec "FLASH = True" run bench/board.py      # an ESP32's other slot, too: see below
#
# Lines with # in front are for people. The last line is JSON: docs/benchmarks.md has its keys.
# With instar and its settings on the board SERVER is the settings', and the network is joined as
# they say. FLASH: programs the last 64 KiB of the slot that does not run, if they are blank and no
# update is under way, and erases them again: the slot is as it was.
# Limits: each figure is of half a second's work. A watchdog of instar's is fed, but runs on: the
# board restarts by itself after the end.
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

_LEAST_MS = 500
_CHUNK = 4096
_FILE = "bench.tmp"  # in the root, on a board
_FILE_SIZE = 65536
_WATCHDOG_MS = (120000, 8388)  # an RP2040 takes no more than the second

# instar's license as one block of a deflate stream, complete at a byte: put together they are a
# stream that inflates as text and code do (1.7 to 1), with a table of codes in each block.
_TEXT_SIZE = 1075
_BLOCK = a2b_base64(
    b"XFLNbtswDL7rKYicWsDohh522E2xlUaYbQWy0ixHx1ZiDY4VWPKCvv1IJ223AQECUuT3RxfSQO4aOwTLWOovb6M7dR"
    b"Eemkd4/vr8DUxnwQ0h1iPUU+z8GBjb2PHsQnB+ABegs6M9vMFprIdo2wSOo7Xgj9B09XiyCUQP9fAGFzsGXPCHWLvB"
    b"DSeooUE6hpOxQ5jgj/FajxaHW6hD8I2rEQ9a30xnO8Q6Et/R9TbAQ0RVi+q+sXicSVpb98wNQG/vT3B1qHmKMNoQR9"
    b"cQRoJ+mn5qScP7c+/O7s5A63MGgSHoFNAB6Uzg7Ft3pH8727pMh96FLoHWEfRhitgM1JzDTMjHFz9CsH3PEMGh7tnr"
    b"p7p5hqRfKNB4jyhQ59r5879OXGDHaRyQ0s47rcfIZsZftonUofGj73t/JWuNH1pHjsJ3xuiK9cH/trOX24kHH1HqTQ"
    b"Id4PJ51ftT6Oq+h4O9B4a8GG/9l52R6PHbGKKre7j4ceb73+YT8q8FVGpldlwLkBVstHqVmchgwSusFwnspFmrrQGc"
    b"0Lw0e1Ar4OUefsgyS0D83GhRVaA0k8UmlwJ7skzzbSbLF1jiXqnwO5aFNAhqFBDhHUqKisAKodM1lnwpc2n2CVtJUx"
    b"LmSmngsOHayHSbcw2brd6oSiB9hrClLFcaWUQhSvOErNgD8YoFVGue50TF+BbVa9IHqdrstXxZG1irPBPYXApUxpe5"
    b"uFGhqTTnskgg4wV/EfOWQhTNaOymDnZrQS3i4/hLjVQl2UhVaTSWCbrU5mN1JyuRANeyokBWWhUJozhxQ80guFeKGw"
    b"pFDf9cBEeo3lbiAxAywXPEqmiZLL4PP7E/AAAA//8="
)
_BLOCKS = 12

results = {}
skipped = {}
feed = bool  # does nothing, until there is a watchdog


class Skip(Exception):
    """Not measured here; the text says why."""


def watchdog():
    """What feeds the watchdog that instar may have started; it cannot be stopped."""
    import machine

    for timeout in _WATCHDOG_MS if hasattr(machine, "WDT") else ():
        try:
            return machine.WDT(timeout=timeout).feed
        except ValueError:
            continue
    return feed


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
    """How long it takes, by as many goes as half a second has."""
    runs = 0
    begin = time.ticks_us()
    while True:
        work()
        runs += 1
        spent = time.ticks_diff(time.ticks_us(), begin)
        if spent >= _LEAST_MS * 1000:
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
    state = os.statvfs(".")
    if state[0] * state[3] < 2 * _FILE_SIZE:
        raise Skip("less than 128 KiB free")
    chunk = os.urandom(_CHUNK)

    def whole():
        with open(_FILE, "wb") as file:
            for _ in range(_FILE_SIZE // _CHUNK):
                file.write(chunk)
                feed()

    def record():
        with open(_FILE + ".new", "wb") as file:
            file.write(chunk[:100])
        os.rename(_FILE + ".new", _FILE)

    try:
        speed = kib_s(_FILE_SIZE, whole)
        return {"file_kib_s": speed, "record_ms": round(milliseconds(record), 2)}
    finally:
        os.remove(_FILE)


def spare_slot():
    """The partition that does not run, once nothing speaks against writing to its end."""
    from esp32 import Partition

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
    times = [time.ticks_us()]
    for block in blocks:
        spare.writeblocks(block, noise, 0)
    times.append(time.ticks_us())
    for block in blocks:
        spare.ioctl(6, block)
    times.append(time.ticks_us())
    speed = [64e6 / max(1, time.ticks_diff(times[i + 1], times[i])) for i in (0, 1)]
    return {"program_kib_s": round(speed[0], 1), "erase_kib_s": round(speed[1], 1)}


def drive(generator):
    """A generator of short steps to its end: its value, and its milliseconds."""
    begin = time.ticks_us()
    try:
        while True:
            next(generator)
            feed()
    except StopIteration as stop:
        return stop.value, round(time.ticks_diff(time.ticks_us(), begin) / 1000, 2)


def p256():
    from instar.crypto import ecdsa

    secret, digest = ecdsa.generate(os.urandom), os.urandom(32)
    point, _ = drive(ecdsa.public(secret))
    (r, s), signing = drive(ecdsa.sign(secret, digest))
    _, verifying = drive(ecdsa.verify(point, digest, r, s))
    return {"p256_sign_ms": signing, "p256_verify_ms": verifying}


def rsa():
    from instar.crypto import rsa

    # No key and a wrong signature take as long as right ones: nothing is over early.
    number = int.from_bytes(b"\xff" + os.urandom(254) + b"\1", "big")
    signature = b"\0" + os.urandom(255)
    return {"rsa2048_verify_ms": drive(rsa.verify(number, 65537, bytes(32), signature))[1]}


def online():
    """(host, port, CAs in DER) to shake hands with, the network being joined."""
    host, _, port = SERVER.partition(":")
    if host:
        with open(CA, "rb") as file:
            return host, int(port or 443), [file.read(4096)]
    if not results["instar"]:
        raise Skip("no SERVER given, and no instar whose settings name one")
    import asyncio

    from board import Board

    from instar.clock import Clock
    from instar.settings import Settings

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
    connect, handshake = (time.ticks_diff(times[i + 1], times[i]) for i in (0, 1))
    return {"connect_ms": connect, "tls_ms": handshake}


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


def identity():
    import machine

    try:
        from instar import __version__ as version
    except ImportError:
        version = None
    return {
        "board": os.uname().machine if hasattr(os, "uname") else sys.implementation._machine,
        "micropython": ".".join(str(part) for part in sys.implementation.version[:3]),
        "mhz": machine.freq() // 1000000 if hasattr(machine, "freq") else None,
        "instar": version,
    }


def main():
    global feed
    results["largest_before"] = largest()
    results["heap_before"] = gc.mem_free()
    results.update(identity())
    if results["instar"]:
        feed = watchdog()
    for work in (sha256, inflate, files, partition, p256, rsa, handshake):
        measure(work)
    results["largest_after"] = largest()
    results["heap_after"] = gc.mem_free()
    results["skipped"] = skipped
    print(json.dumps(results))


if __name__ == "__main__":  # a program beside this file may look for its own `board`
    main()
