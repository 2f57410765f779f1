# One boot of the simulated board; `instar sim run` starts it again and again:
#   micropython -X heapsize=512k boards/UNIX/power_on.py FLASH [key=value ...]
#
#   control=/dev/fd/N   where messages go        cause=1         machine.reset_cause()
#   ops=0               operations before this   rtc=US          RTC minus host clock; none: 2000
#   cut=N[:before|torn|ragged|after]             seed=N boot=N   of randomness
#   trace=1             every flash operation    rom=BYTES       at least so much for the ROMFS
#   soft=LABEL          a soft reset: this slot, without the boot loader
#   same_slot=other     what set_boot() of the chosen slot does (esp32.attach), older ESP-IDF
# SPDX-License-Identifier: MIT
import sys

import mainboard

mainboard.main(sys.argv[1], dict(option.split("=", 1) for option in sys.argv[2:]))
