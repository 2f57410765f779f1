"""How fast a TLS download is with instar.http, and with the streams of MicroPython's asyncio.

    .venv/bin/python bench/http.py

Both run in turn in one MicroPython process (unix port) against one server on loopback; the best
of several rounds counts. What is compared is the body alone, without handshake and head: the ratio
is what matters, the MB/s are this computer's.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table

from instar_tools.paths import LIB, micropython

BOARD = Path(__file__).with_name("http_board.py")
SIZE = 4 << 20
ROUNDS = 5


def certificate(folder: Path) -> tuple[Path, Path]:
    """(PEM with the key, DER) of a self-signed certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem, der = folder / "localhost.pem", folder / "localhost.der"
    pem.write_bytes(private + signed.public_bytes(Encoding.PEM))
    der.write_bytes(signed.public_bytes(Encoding.DER))
    return pem, der


def serve(listener: socket.socket, pem: Path) -> None:
    """Answer every connection's first request with SIZE bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + os.urandom(SIZE)
    while True:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(answer)


def measure(folder: Path) -> dict[str, float]:
    """MB/s by name of the client."""
    pem, der = certificate(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, pem), daemon=True).start()
    port = listener.getsockname()[1]
    task = {"port": port, "ca": str(der), "size": SIZE, "rounds": ROUNDS}
    done = subprocess.run(
        [micropython(), BOARD],
        input=json.dumps(task),
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: SIZE / min(times) for name, times in json.loads(done.stdout).items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        speed = measure(Path(folder))
    table = Table(title=f"A body of {SIZE >> 20} MiB over TLS 1.2, best of {ROUNDS}")
    for column in ("client", "MB/s", "ratio"):
        table.add_column(column, justify="right")
    for name in ("streams", "instar"):
        ratio = speed[name] / speed["streams"]
        table.add_row(name, f"{speed[name]:.1f}", f"{ratio:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
