"""A board's serial port with a script behind it: what no simulated board does."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import select
import threading
import tty

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
ABOUT = {
    "platform": "esp32",
    "machine": "Generic ESP32 module with ESP32",
    "version": [1, 29, 0],
    "version_text": "1.29.0",
    "mpy": 0x2A06,
    "instar": None,
    "frozen_instar": None,
    "watched": False,
}


class ScriptedRepl:
    """A raw REPL without raw paste. answers: a part of the code -> what comes before the prompt,
    or a function of this object, that does what it wants; for other code nothing is printed.

    silent: it is no MicroPython at all.
    """

    def __init__(self, answers=None, about=None, silent=False):
        found = json.dumps({**ABOUT, **(about or {})}).encode()
        self._answers = {"about()": found + b"\r\n\x04\x04", **(answers or {})}
        self._silent = silent
        self._code = b""
        self._plugged = True
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave  # held open: a master without a slave cannot be read
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.unplug()
        self._thread.join(5)
        os.close(self._slave)

    def unplug(self):
        """The cable is drawn, at once."""
        self._plugged = False

    def say(self, data):
        os.write(self._master, data)

    def _serve(self):
        while self._plugged:
            if select.select([self._master], [], [], 0.02)[0]:
                for byte in os.read(self._master, 4096):
                    if not self._silent:
                        self._take(byte)
        os.close(self._master)

    def _take(self, byte):
        code, self._code = self._code, b""
        if byte == 1:  # Ctrl-A, or the end of the question for raw paste: one answer to both
            self.say(BANNER)
        elif byte == 4 and not code.strip():
            self.say(b"MPY: soft reboot\r\n" + BANNER)
        elif byte == 4:
            self._run(code.decode())
        elif byte != 3:
            self._code = code + bytes([byte])

    def _run(self, code):
        self.say(b"OK")
        found = [answer for part, answer in self._answers.items() if part in code]
        answer = found[-1] if found else b"\x04\x04"
        if callable(answer):
            answer(self)
        else:
            self.say(answer + b">")
