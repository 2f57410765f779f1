"""A board's serial port with a script behind it: what no simulated board does."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import termios
import threading
import time
import tty

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
WINDOW = 64
ABOUT = {
    "implementation": "micropython",
    "platform": "esp32",
    "machine": "Generic ESP32 module with ESP32",
    "version": [1, 29, 0],
    "version_text": "1.29.0",
    "mpy": 0x2A06,
    "instar": None,
    "frozen_instar": None,
    "watched": False,
    "on_trial": False,
}


class ScriptedRepl:
    """A raw REPL, with raw paste. answers: a part of the code -> what comes before the prompt,
    or a function of this object, that does what it wants; for other code nothing is printed.
    pasted: the same, as soon as that part of the code has come; then the rest is dropped.

    silent: it is no MicroPython at all. raw_paste: False for a board without. ran: the code so
    far, and `friendly` and `soft reset` for what came by itself. window, at_ctrl_c: to be changed.
    """

    def __init__(self, answers=None, about=None, silent=False, raw_paste=True, pasted=None):
        found = json.dumps({**ABOUT, **(about or {})}).encode()
        self._answers = {"about()": found + b"\r\n\x04\x04", **(answers or {})}
        self._pasted = {part.encode(): answer for part, answer in (pasted or {}).items()}
        self._silent = silent
        self._raw_paste = raw_paste
        self._room = None  # bytes until the window is full, in a raw paste
        self._code = b""
        self.window = struct.pack("<H", WINDOW)
        self.at_ctrl_c = lambda board: None
        self.ran = []
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

    def settle(self):
        """Return when all that was sent is taken."""
        while select.select([self._master], [], [], 0.05)[0]:
            time.sleep(0.01)

    @contextlib.contextmanager
    def stopped(self):
        """Nothing more is taken from the line."""
        termios.tcflow(self._slave, termios.TCOOFF)
        try:
            yield
        finally:
            termios.tcflow(self._slave, termios.TCOON)

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
        if self._room is not None:
            self._paste(byte)
            return
        code, self._code = self._code, b""
        if byte == 1 and code.endswith(b"\x05A") and self._raw_paste:
            self._room = WINDOW
            self.say(b"R\x01" + self.window)
        elif byte == 1:  # Ctrl-A, or the end of the question for raw paste: one answer to both
            self.say(BANNER)
        elif byte == 2:  # Ctrl-B
            self.ran.append("friendly")
        elif byte == 4 and not code.strip():
            self.ran.append("soft reset")
            self.say(b"MPY: soft reboot\r\n" + BANNER)
        elif byte == 4:
            self.say(b"OK")
            self._run(code)
        elif byte == 3:
            self.at_ctrl_c(self)
        else:
            self._code = code + bytes([byte])

    def _paste(self, byte):
        if byte in (3, 4):
            code, self._code, self._room = self._code, b"", None
            self.say(b"\x04")
            self._run(code) if byte == 4 else self.say(b"\x04KeyboardInterrupt\r\n\x04>")
            return
        self._code += bytes([byte])
        self._room -= 1
        for part in self._pasted:
            if self._code.endswith(part):
                self._answer(self._pasted[part])
                self._room = float("inf")
        if not self._room:
            self._room = WINDOW
            self.say(b"\x01")

    def _run(self, code):
        self.ran.append(code.decode())
        found = [answer for part, answer in self._answers.items() if part in self.ran[-1]]
        answer = found[-1] if found else b"\x04\x04"
        self._answer(answer if callable(answer) else answer + b">")

    def _answer(self, answer):
        if callable(answer):
            answer(self)
        else:
            self.say(answer)
