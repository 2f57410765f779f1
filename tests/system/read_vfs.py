# Run by MicroPython: prints a file of a simulated board in hex. read_vfs.py FLASH /path
# Exit code 2: there is no such file.
import errno
import os
import sys

import mainboard
import nor
import vfs

chip = nor.Flash(sys.argv[1])
family = mainboard.family_of(chip)
family.attach(chip)
vfs.mount(family.file_system(family.storage()), "/board")
path = "/board" + sys.argv[2]
try:
    os.stat(path)
except OSError as error:
    sys.exit(2 if error.errno == errno.ENOENT else 1)
with open(path, "rb") as file:
    while part := file.read(8192):
        print(part.hex(), end="")
