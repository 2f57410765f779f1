# Run by MicroPython: prints a file of a simulated board in hex. read_vfs.py FLASH /path
import sys

import esp32
import nor
import otadata
import vfs

chip = nor.Flash(sys.argv[1])
rows = otadata.with_vfs(otadata.table(chip), chip.size)
esp32.attach(chip, rows, rows[-1])
vfs.mount(vfs.VfsLfs2(esp32.Partition("vfs"), mtime=False), "/board")
with open("/board" + sys.argv[2], "rb") as file:
    print(file.read(8192).hex())
