"""The board's HTTP client against CPython's ssl, with good and bad certificates."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from instar_tools.paths import LIB, micropython

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """A CA and what it issues, as files in `folder`."""

    def __init__(self, folder: Path, name: str, kind: str = "ec"):
        self.folder, self.name, self.kind = folder, name, kind
        self.key = self._key()
        self.subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._sign(self.subject, self.key.public_key(), [], -DAY, DAY, ca=True)
        self.der = folder / f"{name}.der"
        self.der.write_bytes(certificate.public_bytes(Encoding.DER))
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(certificate.public_bytes(Encoding.PEM))

    def _key(self):
        if self.kind == "ec":
            return ec.generate_private_key(ec.SECP256R1())
        return rsa.generate_private_key(65537, 2048)

    def _sign(self, subject, public_key, names, start, end, ca=False):
        builder = x509.CertificateBuilder(self.subject, subject, public_key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW + start).not_valid_after(NOW + end)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, *names: str, start=-DAY, end=DAY) -> Path:
        """A PEM file with a key and a certificate for host names and IP addresses."""
        key = self._key()
        san = [
            x509.IPAddress(ipaddress.ip_address(name))
            if re.fullmatch(r"[\d.]+", name)
            else x509.DNSName(name)
            for name in names
        ]
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key.public_key(), san, start, end)
        stem = self.folder / f"{self.name}-{len(list(self.folder.iterdir()))}"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        stem.with_suffix(".pem").write_bytes(private + certificate.public_bytes(Encoding.PEM))
        stem.with_suffix(".crt").write_bytes(certificate.public_bytes(Encoding.DER))
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        stem.with_suffix(".key").write_bytes(private)
        return stem.with_suffix(".pem")


class Peer:
    """A TLS server on a port of its own: each connection runs `handle(tls_socket, peer)`."""

    def __init__(self, certificate: Path | None, handle: Callable, **settings):
        self.handle, self.accepted, self.names, self.requests = handle, 0, [], []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
            self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
            for name, value in settings.items():
                setattr(self.context, name, value)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, host: str = "localhost", path: str = "/") -> str:
        return f"https://{host}:{self.port}{path}"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.handle(connection, self)
        except OSError:
            pass  # the board refused the certificate, or went away: it reports that itself
        finally:
            connection.close()

    def read(self, connection) -> bytes:
        """One request; recv() gives at most one TLS record, so this shows it was one write."""
        request = connection.recv(65536)
        self.requests.append(request)
        return request


def say(*answers: bytes) -> Callable:
    """A handler that answers requests on one connection in turn."""

    def handle(connection, peer):
        for answer in answers:
            if not peer.read(connection):
                return
            connection.sendall(answer)
        peer.read(connection)

    return handle


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "good")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "stranger")


@pytest.fixture
def peer():
    """``peer(certificate, handle, ...)`` starts a Peer that is stopped after the test."""
    peers = []

    def start(*args, **settings) -> Peer:
        peers.append(Peer(*args, **settings))
        return peers[-1]

    yield start
    for one in peers:
        one.listener.close()


def board(
    *urls: str,
    request: dict | None = None,
    present: dict | None = None,
    own: list[str] | None = None,
    **client,
) -> dict:
    """What the board made of a GET of each URL with one Client, which after the first one
    presents another certificate if there is one. own: URLs of the servers that see it."""
    client = {key: _paths(value) for key, value in client.items()}
    task = {
        "urls": urls,
        "client": {"timeout": 5, **client},
        "request": request or {},
        "own": own or [],
    }
    if present:
        task["present"] = {key: _paths(value) for key, value in present.items()}
    done = subprocess.run(
        [micropython(), Path(__file__).with_name("http_client.py")],
        input=json.dumps(task),  # MicroPython dies of an argument beyond 255 bytes
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _paths(value):
    if isinstance(value, list):
        return [str(path) for path in value]
    return str(value) if isinstance(value, Path) else value


def got(*urls: str, **options) -> dict:
    return board(*urls, **options)["results"][0]


def refused(kind: str, words: str, *urls: str, **options) -> str:
    result = got(*urls, **options)
    assert kind in result.get("error", []), result
    assert words in result["message"], result
    return result["message"]


# Trust


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_good_certificate_is_accepted_and_the_connection_kept(tmp_path, peer, kind):
    ca = Authority(tmp_path, "ca", kind)
    server = peer(ca.issue("localhost"), say(OK, OK))
    results = board(server.url(), server.url(), ca=[ca.der])["results"]
    assert [(r["status"], r["size"]) for r in results] == [(200, 5)] * 2
    assert server.accepted == 1
    assert server.names == ["localhost"]
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\n")


def test_an_ip_address_is_checked_like_a_name(authority, stranger, peer):
    server = peer(authority.issue("127.0.0.1"), say(OK))
    assert got(server.url("127.0.0.1"), ca=[authority.der])["status"] == 200
    server = peer(authority.issue("localhost"), say(OK))
    words = "expected one for the host name in the URL"
    refused("Untrusted", words, server.url("127.0.0.1"), ca=[authority.der])


def test_one_of_two_authorities_is_enough(authority, stranger, peer):
    certificates = [authority.issue("localhost"), stranger.issue("localhost")]
    servers = [peer(certificate, say(OK)) for certificate in certificates]
    urls = [server.url() for server in servers]
    results = board(*urls, ca=[authority.der, stranger.der])["results"]
    assert [r["status"] for r in results] == [200, 200]


def test_another_authority_is_untrusted(authority, stranger, peer):
    server = peer(stranger.issue("localhost"), say(OK))
    message = refused("Untrusted", "trusted CA", server.url(), ca=[authority.der])
    assert message.startswith(f"localhost:{server.port}: certificate refused")
    assert "is the right CA there?" in message
    assert server.requests in ([], [b""])


def test_another_host_name_is_untrusted(authority, peer):
    server = peer(authority.issue("other.example"), say(OK))
    refused("Untrusted", "host name in the URL", server.url(), ca=[authority.der])


@pytest.mark.parametrize(("start", "end"), [(-9 * DAY, -DAY), (DAY, 9 * DAY)])
def test_outside_its_dates_a_certificate_is_untrusted(authority, peer, start, end):
    server = peer(authority.issue("localhost", start=start, end=end), say(OK))
    message = refused("Untrusted", "valid today", server.url(), ca=[authority.der])
    clock = re.search(r"the clock reads (\d{4}-\d\d-\d\d) \d\d:\d\d UTC", message)
    assert clock and abs(datetime.date.fromisoformat(clock[1]) - NOW.date()) <= DAY


def test_without_an_authority_nothing_is_sent(authority, peer):
    server = peer(authority.issue("localhost"), say(OK))
    refused("Untrusted", "expected a CA certificate", server.url(), ca=[])
    assert server.accepted == 0


def test_an_authority_that_is_no_certificate_is_rejected(tmp_path):
    (tmp_path / "ca.der").write_bytes(b"garbage")
    refused("Rejected", "in DER", "https://localhost:1/", ca=[tmp_path / "ca.der"])


def test_a_client_certificate_is_shown_when_asked_for(authority, stranger, peer):
    server = peer(authority.issue("localhost"), say(OK), verify_mode=ssl.CERT_REQUIRED)
    server.context.load_verify_locations(authority.pem)
    mine = authority.issue("device-1")
    pair = {"cert": mine.with_suffix(".crt"), "key": mine.with_suffix(".key")}
    assert got(server.url(), ca=[authority.der], **pair)["status"] == 200
    refused("Transient", "client certificate", server.url(), ca=[authority.der])
    other = stranger.issue("device-1")
    pair = {"cert": other.with_suffix(".crt"), "key": other.with_suffix(".key")}
    refused("Transient", "client certificate", server.url(), ca=[authority.der], **pair)


def test_another_client_certificate_is_shown_from_the_next_connection_on(authority, peer):
    def name(connection, server):
        while server.read(connection):
            subject = dict(pair for (pair,) in connection.getpeercert()["subject"])
            server.seen.append(subject["commonName"])
            connection.sendall(OK)

    server = peer(authority.issue("localhost"), name, verify_mode=ssl.CERT_REQUIRED)
    server.seen = []
    server.context.load_verify_locations(authority.pem)
    first, second = (
        {"cert": one.with_suffix(".crt"), "key": one.with_suffix(".key")}
        for one in (authority.issue("device-1"), authority.issue("device-2"))
    )
    options = {"ca": [authority.der], "present": second, **first}
    results = board(*[server.url()] * 3, **options)["results"]
    assert [result["status"] for result in results] == [200] * 3
    assert server.seen == ["device-1", "device-2", "device-2"]
    assert server.accepted == 2


def test_a_client_certificate_is_for_the_origins_that_it_was_meant_for(authority, peer):
    def look(connection, server):
        while server.read(connection):
            server.seen.append(bool(connection.getpeercert()))
            connection.sendall(OK)

    certificate = authority.issue("localhost")
    servers = [peer(certificate, look, verify_mode=ssl.CERT_OPTIONAL) for _ in range(2)]
    for server in servers:
        server.seen = []
        server.context.load_verify_locations(authority.pem)
    own, other = (server.url() for server in servers)
    mine = authority.issue("device-1")
    pair = {"cert": mine.with_suffix(".crt"), "key": mine.with_suffix(".key")}
    urls = [other, own, other, own]
    options = {"ca": [authority.der], "max_connections": 1, **pair}
    results = board(*urls, own=[own], **options)["results"]
    assert [result["status"] for result in results] == [200] * 4
    assert [server.seen for server in servers] == [[True, True], [False, False]]
    results = board(*urls, own=[own], present=pair, **options)["results"]
    assert [server.seen for server in servers] == [[True] * 4, [False] * 4]


# What goes wrong on the way


def test_a_tls_1_3_only_server_is_named_as_the_reason(authority, peer):
    server = peer(authority.issue("localhost"), say(OK), minimum_version=ssl.TLSVersion.TLSv1_3)
    refused("Transient", "expected a TLS 1.2 server", server.url(), ca=[authority.der])


def test_a_peer_without_tls_is_transient(authority, peer):
    server = peer(None, lambda connection, _: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
    refused("Transient", "TLS handshake failed", server.url(), ca=[authority.der])


def test_a_stalled_handshake_ends_at_its_timeout(authority, peer):
    server = peer(None, lambda connection, _: connection.recv(9999) and connection.recv(9999))
    options = {"ca": [authority.der], "handshake_timeout": 0.2}
    refused("Transient", "timeout after 0.2 s in the TLS handshake", server.url(), **options)


@pytest.mark.parametrize("notify", [True, False])
@pytest.mark.parametrize("framing", [b"Content-Length: 99", b"Transfer-Encoding: chunked"])
def test_a_body_that_is_cut_is_never_taken_for_whole(authority, peer, notify, framing):
    def cut(connection, server):
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        if notify:
            connection.unwrap()

    server = peer(authority.issue("localhost"), cut)
    refused("Ended", "closed while reading the answer", server.url(), ca=[authority.der])


def test_four_megabytes_arrive_whole_while_another_task_goes_on(authority, peer):
    body = os.urandom(1 << 16) * 64
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = peer(authority.issue("localhost"), say(head + body))
    done = board(server.url(), ca=[authority.der])
    assert done["results"][0]["sha256"] == hashlib.sha256(body).hexdigest()
    assert done["ticks"] >= 3  # 4 MB take some 100 ms: a blocked loop would count one


# Redirects


def redirecting(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_redirect_takes_the_range_along_but_no_secret(authority, peer):
    certificate = authority.issue("localhost", "127.0.0.1")
    store = peer(certificate, say(OK))
    server = peer(certificate, say(redirecting(store.url("127.0.0.1", "/a?b=c"))))
    headers = {"Authorization": "Bearer T", "X-MEN-Signature": "S", "Range": "bytes=5-"}
    request = {"redirects": 3, "headers": headers}
    result = got(server.url(), ca=[authority.der], request=request)
    assert (result["status"], result["url"]) == (200, store.url("127.0.0.1", "/a?b=c"))
    assert b"Bearer T" in server.requests[0]
    lines = store.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /a?b=c HTTP/1.1"
    assert sorted(line.split(b":")[0] for line in lines[1:] if line) == [
        b"Host",
        b"Range",
        b"User-Agent",
    ]


def test_redirects_are_followed_three_times_and_only_on_request(authority, peer):
    certificate = authority.issue("localhost")

    def hop(connection, server):
        request = server.read(connection)
        count = int(request.split(b" ")[1][1:] or b"0")
        connection.sendall(redirecting(f"/{count - 1}", 308) if count else OK)

    server = peer(certificate, hop)
    options = {"ca": [authority.der], "request": {"redirects": 9}}
    assert got(server.url(path="/3"), **options)["status"] == 200
    refused("Transient", "too many redirects", server.url(path="/4"), **options)
    options["request"] = {"redirects": 1}
    refused("Transient", "too many redirects", server.url(path="/2"), **options)
    assert got(server.url(path="/1"), ca=[authority.der])["status"] == 308


@pytest.mark.parametrize("location", ["http://localhost/", "ftp://localhost/", "https://u@h/", ""])
def test_a_redirect_leaves_https_never(authority, peer, location):
    server = peer(authority.issue("localhost"), say(redirecting(location)))
    options = {"ca": [authority.der], "allow_plain": True, "request": {"redirects": 3}}
    refused("Transient", "redirect", server.url(), **options)
