# The board as it is put together at power-on: flash, modules, file systems. What differs between
# chips is in family_esp32.py and family_rp2.py, which have the same names in them.
# mainboard.start(flash, options) does it all; the options are listed in power_on.py. Used once and
# then forgotten, so that it does not stay in the board's heap.
# What stands in for modules is none, and named as they are:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# SPDX-License-Identifier: MIT
import gc
import sys
from collections import namedtuple

import chance
import console
import control
import dates
import nor
import rtc
import vfs
from micropython import const
from shielded import Shielded
from standin import StandIn

# What `sim create` leaves in flash that no board of these looks at: the MAC address, which is in
# efuses or in the radio, and the board's name.
_MAC = const(0)
_NAME = const(16)
_NAME_SIZE = const(16)
_FAMILIES = {"ESP32_GENERIC": "family_esp32", "RPI_PICO_W": "family_rp2"}


def start(flash, options):
    """Boot as far as the first line of the board's own program.

    Returns (size of the ROMFS's buffer, None on a board without; where its programs are).
    """
    control.connect(options.get("control", "/dev/null"), options.get("ack"))
    seed = options.get("seed")
    chip = nor.Flash(
        flash,
        int(options.get("ops", 0)),
        _cut(options.get("cut")),
        "trace" in options,
        int(seed or 0),
    )
    family = family_of(chip)
    rom = family.boot(chip, options)
    _modules(family, chip, options, seed)
    gc.collect()
    vfs.umount("/")
    device = family.storage()
    family.mount(rom, Shielded(device) if "port" in options else device)
    sys.path[:] = family.PATH
    sys.argv[:] = []
    return None if rom is None else len(rom), family.ROOTS


def family_of(chip):
    """The module of the family that the board in this flash belongs to."""
    name = bytearray(_NAME_SIZE)
    chip.read(_NAME, name)
    name = bytes(name).rstrip(b"\0")
    for known, module in _FAMILIES.items():
        if known.encode() == name:
            return __import__(module)
    control.end("dead no known board: one of %s expected, got %s" % (sorted(_FAMILIES), name))


def _cut(text):
    if not text:
        return None
    number, _, how = text.partition(":")
    return int(number), how or nor.BEFORE


_Implementation = namedtuple("implementation", ("name", "version", "_machine", "_mpy", "_build"))


class _Sys(StandIn):
    def __init__(self, family, port):
        super().__init__(sys, ("atexit",))
        self.platform = family.PLATFORM
        real = sys.implementation
        self.implementation = _Implementation(
            real.name, real.version, family.MACHINE, real._mpy, family.BUILD
        )
        if port:
            self.stdout = console.Stdout()


def _modules(family, chip, options, seed):
    mac = bytearray(6)
    chip.read(_MAC, mac)
    public = family.MODULES
    public["machine"].attach(int(options.get("cause", 1)), bytes(mac))
    public["network"].attach(bytes(mac))
    rtc.start(int(options["rtc"]) if "rtc" in options else None)
    if seed is not None:
        seed = ("%s %s" % (seed, options.get("boot", 1))).encode()
    sockets = _sockets(options.get("dns"))
    _hide_emulation()
    sys.modules.update(public)
    sys.modules.update(sockets)
    sys.modules["sys"] = _Sys(family, "port" in options)
    for name, module in (
        ("os", chance.Os(seed, family.PLATFORM, family.MACHINE)),
        ("time", rtc.Time(family.EPOCH)),
        ("tls", dates.Tls(__import__("tls"))),
        ("random", __import__("random")),
        ("machine", public["machine"]),
    ):
        sys.modules[name] = module
        sys.modules["u" + name] = module


def _sockets(table):
    # Without a table of names they are the host's own.
    if not table:
        return {}
    from resolver import Socket

    module = Socket(table)
    return {"socket": module, "usocket": module}


def _hide_emulation():
    # The board's programs may have modules of these names.
    folder = __file__.rpartition("/")[0] + "/"
    for name in list(sys.modules):
        path = getattr(sys.modules[name], "__file__", "")
        if name != "__main__" and path.startswith(folder):
            del sys.modules[name]
