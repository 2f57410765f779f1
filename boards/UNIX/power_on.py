# One boot of the simulated board; `instar sim run` starts it again and again:
#   micropython -X heapsize=512k boards/UNIX/power_on.py FLASH [key=value ...]
#
#   control=/dev/fd/N   where messages go        cause=1         machine.reset_cause()
#   ops=0               operations before this   rtc=US          RTC minus host clock; none: 2000
#   cut=N[:before|torn|ragged|after]             seed=N boot=N   of randomness
#   trace=1             every flash operation    rom=BYTES       at least so much for the ROMFS
#   ack=/dev/fd/N       a byte from there is waited for before each flash operation
#   soft=LABEL          a soft reset: this slot (if the board has any), without the boot loader
#   heap=BYTES          the board's own heap: heapsize must have room for ROMFS and emulation too
#   same_slot=other     what set_boot() of the chosen slot does (esp32.attach), older ESP-IDF
#   port=1              there is a serial port (micropython -i): Ctrl-C, and the REPL after main.py
#   dns=NAME=ADDR:PORT,...   where names lead: resolver.py
#   raw=1               with it: a soft reset out of the raw REPL, so main.py does not run
# SPDX-License-Identifier: MIT
import gc
import sys

import micropython

micropython.kbd_intr(-1)  # Ctrl-C is for the board's program, not for what follows

import control  # noqa: E402
import mainboard  # noqa: E402
import names  # noqa: E402
import program  # noqa: E402

_options = dict(option.split("=", 1) for option in sys.argv[2:])
_rom, _roots = mainboard.start(sys.argv[1], _options)
del mainboard
if _rom:
    names.intern("/rom")
    names.make_room()
del names
gc.collect()
control.send("heap %d" % (gc.mem_alloc() - (_rom or 0)))
# The emulation's modules lie in a board's flash. Here they are in the heap, which the parent made
# larger for them: what is more than the board's own is taken away again, from its beginning on in
# the smallest pieces, so that no holes between those modules count as the board's.
_heap = int(_options.get("heap", 0))
# Of these the collector's tables have three bits for each 32 bytes.
_surplus = gc.mem_free() - (_heap - _heap * 3 // 256) if _heap else 0
_ballast = None
for _ in range(_surplus // 32):
    _ballast = (_ballast,)
control.held = _ballast
program.start(_roots, globals(), _options)
