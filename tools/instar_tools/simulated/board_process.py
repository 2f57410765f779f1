"""One boot of a simulated board: its process, its console, its control channel, its watchdog.

    process = BoardProcess(flash, heap=200_000, options={"cause": 1})
    for source, line in process.lines(deadline):   # ("control" | "console", bytes)
        ...
    process.end                                    # "reset", "cut 17 torn", "watchdog", ...

The last message of a boot comes after everything that its console said. Leaving the loop early,
or an exception in it, kills the board: that is a power cut at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..image_builder import compile_mpy
from ..paths import BOARDS, ROOT, micropython

_SOURCES = BOARDS / "UNIX"
_NOT_EMULATION = ("make_vfs.py",)
# Where the interpreter would keep what was typed into a REPL.
_NOT_ITS = ("HOME",)
# Messages after which the process ends by itself.
ENDS = ("reset", "soft_reset", "bootloader", "cut", "panic", "repl", "stuck", "dead")


def emulation() -> Path:
    """A folder with boards/UNIX compiled: on a small heap there is no room for a compiler."""
    files = {}
    for path in sorted(_SOURCES.glob("*.py")):
        if path.name == "power_on.py":
            files[path.name] = path.read_bytes()
        elif path.name not in _NOT_EMULATION:
            files[f"{path.stem}.mpy"] = compile_mpy(path.read_bytes(), f"UNIX/{path.name}")
    key = hashlib.sha256(b"".join(name.encode() + data for name, data in files.items()))
    folder = ROOT / "build" / f"boards-UNIX-{key.hexdigest()[:16]}"
    if not folder.exists():
        write_folder(folder, files)
    return folder


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder of files whose name says what is in it."""
    folder.parent.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    for name, data in files.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(data)
    # Another process may have been faster: then its folder, of equal content, is used.
    with contextlib.suppress(OSError):
        scratch.rename(folder)


class BoardProcess:
    """A board with power. heap: bytes. options: power_on.py's. watchdog_ms: one already running.
    paced: each flash operation waits until its `op` line was dealt with.

    `end` says how the boot ended: one of ENDS with its words, "watchdog", "deadline", or "died N"
    when MicroPython itself came to grief (N: its exit code).
    """

    ARGUMENTS: tuple[str, ...] = ()  # of MicroPython
    STDIN = subprocess.DEVNULL

    def __init__(
        self,
        flash: Path,
        *,
        heap: int,
        options: Mapping[str, object],
        watchdog_ms: int | None = None,
        paced: bool = False,
    ) -> None:
        self.end = ""
        self.watchdog_ms = watchdog_ms
        self._fed = time.monotonic()
        self._control, write_end = os.pipe()
        ack, self._ack = os.pipe() if paced else (None, None)
        theirs = [end for end in (write_end, ack) if end is not None]
        program = [micropython(), *self.ARGUMENTS, "-X", f"heapsize={heap}"]
        script = str(emulation() / "power_on.py")
        words = [f"{key}={value}" for key, value in options.items()]
        if paced:
            words.append(f"ack=/dev/fd/{ack}")
        try:
            self._process = subprocess.Popen(
                [*program, script, str(flash), f"control=/dev/fd/{write_end}", *words],
                stdin=self.STDIN,
                env={name: value for name, value in os.environ.items() if name not in _NOT_ITS},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=theirs,
                start_new_session=True,  # Ctrl-C is for the host tool
            )
        except BaseException:
            self._close()
            raise
        finally:
            for end in theirs:
                os.close(end)

    def _close(self) -> None:
        os.close(self._control)
        if self._ack is not None:
            os.close(self._ack)

    def lines(self, deadline: float) -> Iterator[tuple[str, bytes]]:
        """Each line of the console and of the control channel, until the boot ends.

        deadline: on time.monotonic(), when the board is switched off.
        """
        last = b""
        try:
            for source, line in self._pipes(deadline):
                if source == "control" and self._is_last(line):
                    last = line
                else:
                    yield source, line
                    self._go_on(source, line)
        finally:
            self._process.kill()
            code = self._process.wait()
            self._close()
            assert self._process.stdout
            self._process.stdout.close()
        self.end = self.end or last.decode() or f"died {code}"

    def _go_on(self, source: str, line: bytes) -> None:
        if self._ack is not None and source == "control" and line.startswith(b"op"):
            # The other end may be gone: something else can kill a board that waits.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._ack, b".")

    def _is_last(self, line: bytes) -> bool:
        word, _, rest = line.partition(b" ")
        if word in (b"wdt", b"feed"):
            self._fed = time.monotonic()
            if rest:
                self.watchdog_ms = int(rest)
        return word.decode() in ENDS

    def _pipes(self, deadline: float) -> Iterator[tuple[str, bytes]]:
        assert self._process.stdout
        rest = {"control": b"", "console": b""}
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ, "control")
            selector.register(self._process.stdout, selectors.EVENT_READ, "console")
            while selector.get_map():
                ready = selector.select(self._patience(deadline))
                if not ready and self._out_of_time(deadline):
                    return
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.data == "console":
                        data = self._printed(data)
                    *whole, rest[key.data] = (rest[key.data] + data).split(b"\n")
                    yield from ((key.data, line) for line in whole)
        if rest["console"]:
            yield "console", rest["console"]

    def _printed(self, data: bytes) -> bytes:
        # What counts as the console's text in what the process wrote.
        return data

    def _bites(self) -> float:
        return self._fed + self.watchdog_ms / 1000 if self.watchdog_ms else float("inf")

    def _patience(self, deadline: float) -> float | None:
        when = min(deadline, self._bites())
        return None if when == float("inf") else max(0.0, when - time.monotonic())

    def _out_of_time(self, deadline: float) -> bool:
        # Called when both pipes are empty: what was fed in time has been seen.
        now = time.monotonic()
        if now >= self._bites():
            self.end = "watchdog"
        elif now >= deadline:
            self.end = "deadline"
        return bool(self.end)
