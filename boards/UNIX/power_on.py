# One boot of the simulated board; `instar sim run` starts it again and again:
#   micropython -X heapsize=512k boards/UNIX/power_on.py FLASH [key=value ...]
#
#   control=/dev/fd/N   where messages go        cause=1         machine.reset_cause()
#   ops=0               operations before this   rtc=US          RTC minus host clock; none: 2000
#   cut=N[:before|torn|ragged|after]             seed=N boot=N   of randomness
#   trace=1             every flash operation    rom=BYTES       at least so much for the ROMFS
#   soft=LABEL          a soft reset: this slot (if the board has any), without the boot loader
#   heap=BYTES          the board's own heap: heapsize must have room for ROMFS and emulation too
#   same_slot=other     what set_boot() of the chosen slot does (esp32.attach), older ESP-IDF
# SPDX-License-Identifier: MIT
import gc
import sys

import control
import mainboard
import program
from micropython import const

_NAMES = const(100)
_TABLE = const(12000)  # bytes; less than the table for 1280 names


class _Nothing:
    pass


def _room_for_names():
    # The names in frozen code lie in an ESP32's flash. Code in a ROMFS has its names interned in
    # tables on the heap, each twice as large as the one before: when the emulation's are full,
    # the table that comes next is the program's, and is made here, beside the board's heap.
    number = 0
    gc.collect()
    while True:
        before = gc.mem_alloc()
        for _ in range(_NAMES):
            hasattr(_Nothing, "_%x" % number)
            number += 1
        gc.collect()
        if gc.mem_alloc() - before > _TABLE:
            return


_options = dict(option.split("=", 1) for option in sys.argv[2:])
_rom, _roots = mainboard.start(sys.argv[1], _options)
del mainboard
if _rom is not None:
    _room_for_names()
control.send("heap %d" % (gc.mem_alloc() - (_rom or 0)))
# The emulation's modules lie in a board's flash. Here they are in the heap, which the parent made
# larger for them: what is more than the board's own is taken away again, small holes first.
_heap = int(_options.get("heap", 0))
# Of these the collector's tables have three bits for each 32 bytes.
_surplus = gc.mem_free() - (_heap - _heap * 3 // 256) if _heap else 0
_ballast = [None] * (_surplus // 296)  # 288 bytes each, and their place in this list
for _i in range(len(_ballast)):
    _ballast[_i] = bytearray(256)
control.end("repl " + program.run(_roots))
