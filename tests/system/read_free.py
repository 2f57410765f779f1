# Run by MicroPython: prints how many files of one block go into what is left of a simulated
# board's file system. (os.statvfs() counts some blocks twice there.)  read_free.py FLASH
import sys

import mainboard
import nor
import vfs

chip = nor.Flash(sys.argv[1])
family = mainboard.family_of(chip)
family.attach(chip)
vfs.mount(family.file_system(family.storage()), "/board")
count = 0
block = b"\x5a" * 4000
try:
    while True:
        with open(f"/board/fill{count}", "wb") as file:
            file.write(block)
        count += 1
except OSError as error:
    if error.errno != 28:
        raise
print(count)
