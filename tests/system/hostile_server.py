"""A server that is hostile to one request and well to all others.

with HostileServer(dev_server) as hostile:
    lab.flash(settings={"mender_url": hostile.url})
    hostile.arm("deployments/next", endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"))
    ...
    assert hostile.struck

It listens with a certificate of the development server's own CA and passes every request on to
it, but for the one that an attack was armed for: that gets raw bytes, as many as the board takes.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from instar_tools.server.testing import DevServer

OK = b"HTTP/1.1 200 OK\r\n"
_CHUNK = 4096
_MOST = 64 << 20  # bytes of an endless answer: what takes as many takes all
_HOPS = ("connection", "transfer-encoding", "content-length", "date", "server")

Attack = Callable[[], Iterable[bytes | float]]


class HostileServer:
    """struck: how many attacks were made; armed: how many were not yet. requests: (method, path,
    headers) of everything that came. taken: bytes that the last attack got rid of. change(path,
    body): what becomes of the answers that are passed on."""

    def __init__(self, server: DevServer) -> None:
        self._server = server
        self._plan: list[tuple[str, Attack]] = []
        self._lock = threading.Lock()
        self._context = server.server.ca.server_context(server.options.names, None)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.other = f"https://localhost:{self.port}"  # another host, for who only has the name
        self.struck = self.taken = 0
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.change: Callable[[str, bytes], bytes] = lambda path, body: body

    def __enter__(self) -> HostileServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def armed(self) -> int:
        return len(self._plan)

    def arm(self, match: str, attack: Attack, times: int = 1) -> None:
        """The next requests of which "METHOD path" matches get what the attack gives: bytes, and
        seconds to wait before the next."""
        with self._lock:
            self._plan += [(match, attack)] * times

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self._context.wrap_socket(raw, server_side=True) as connection:
                with connection.makefile("rb") as lines:
                    while self._answer(connection, lines):
                        pass
        except OSError:  # the board had enough
            pass

    def _answer(self, connection: ssl.SSLSocket, lines) -> bool:
        method, _, rest = lines.readline().decode().partition(" ")
        if not rest:
            return False
        path = rest.split(" ")[0]
        headers = dict(http.client.parse_headers(lines).items())
        body = _body(headers, lines)
        self.requests.append((method, path, headers))
        attack = self._pick(f"{method} {path}")
        if attack:
            self.struck += 1
            self._strike(connection, attack)
            return False
        connection.sendall(self._passed_on(method, path, headers, body))
        return True

    def _pick(self, line: str) -> Attack | None:
        with self._lock:
            for entry in self._plan:
                if re.search(entry[0], line):
                    self._plan.remove(entry)
                    return entry[1]
        return None

    def _strike(self, connection: ssl.SSLSocket, attack: Attack) -> None:
        self.taken = 0
        for piece in attack():
            if isinstance(piece, float):
                time.sleep(piece)
                continue
            connection.sendall(piece)
            self.taken += len(piece)
            if self.taken > _MOST:
                return

    def _passed_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        host, port = self._server.url.removeprefix("https://").split(":")
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        real = http.client.HTTPSConnection(host, int(port), context=trusting)
        real.request(method, path, body or None, _own(headers))
        answer = real.getresponse()
        content = self.change(path, answer.read())
        real.close()
        lines = [f"{name}: {value}" for name, value in _own(dict(answer.getheaders())).items()]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(content)}")
        head = "\r\n".join([f"HTTP/1.1 {answer.status} {answer.reason}", *lines, "", ""])
        return head.encode() + content


def _own(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOPS}


def _body(headers: dict[str, str], lines) -> bytes:
    found = {name.lower(): value for name, value in headers.items()}
    if "content-length" in found:
        return lines.read(int(found["content-length"]))
    body = b""
    if "transfer-encoding" in found:
        while size := int(lines.readline(), 16):
            body += lines.read(size)
            lines.readline()
        lines.readline()
    return body


# ---- attacks


def exactly(*pieces: bytes | float) -> Attack:
    """These bytes, and then the end of the connection."""
    return lambda: pieces


def endless(start: bytes, again: bytes) -> Attack:
    """`start`, and then `again` for ever."""
    many = again * max(1, _CHUNK // len(again))

    def send() -> Iterator[bytes]:
        yield start
        while True:
            yield many

    return send


def dripping(start: bytes, again: bytes, seconds: float) -> Attack:
    """`start`, and then `again` every so many seconds for ever."""

    def send() -> Iterator[bytes | float]:
        yield start
        while True:
            yield seconds
            yield again

    return send


def redirect(url: str) -> Attack:
    """To there."""
    return exactly(ok(b"", f"Location: {url}", status="302 Found"))


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
