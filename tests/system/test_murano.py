"""A board that is a device of a Murano product: its data, its updates, and what may go wrong.

Every test ends in what the product believes, or in what the board runs on afterwards.
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from lab import GOOD, MURANO_HEAP, Lab, image, sha256

# Records its starts, and writes back what it hears: at once, and once for each change.
DEVICE = """
import asyncio

async def run(agent):
    count = int((agent.settings.store.get("starts") or b"0").decode()) + 1
    agent.settings.store.put("starts", str(count).encode())
    agent.record("starts", count)

    async def heard(value):
        await agent.murano.write({"heard": value})

    agent.watch("say", heard)
    while True:
        await asyncio.sleep_ms(100)
"""
# Records its starts; the first one ends when it was in vain.
RESTARTS = """
import asyncio

async def run(agent):
    count = int((agent.settings.store.get("starts") or b"0").decode()) + 1
    agent.settings.store.put("starts", str(count).encode())
    agent.record("starts", count)
    await asyncio.sleep(2)
    if count == 1:
        agent.leaving()
        agent.board.reset()
    while True:
        await asyncio.sleep(1)
"""
RESOURCES = ("starts", "say", "heard")
CRASH = "raise RuntimeError('the sensor library does not start')\n"


def installed():
    """What a board tells of an update that succeeds."""
    names = "INIT DOWNLOAD DOWNLOAD_SUCCESS INSTALL INSTALL_STEP INSTALL_STEP INSTALL_SUCCESS"
    return [*names.split(), "INSTALLED_VERSION"]


def flashed(lab, settings=None, product=None, **flash):
    """A board with release-1, a device of the product."""
    lab.flash(settings=lab.product(settings, **(product or {})), **flash)
    return lab


def requests(server, part):
    return [entry for entry in server.requests() if part in entry["path"]]


@pytest.fixture
def lab(tmp_path, server):
    return Lab(tmp_path, server, heap=MURANO_HEAP)


@pytest.mark.parametrize("auth", ["cik", "token", "password"])
def test_a_board_activates_itself_and_says_what_it_runs(lab, auth):
    kind = "password" if auth == "password" else "token"
    flashed(lab, {"murano_auth": auth}, {"auth": kind})
    lab.meet()
    assert lab.otau("release-1") == ["INSTALLED_VERSION"]
    assert json.loads(lab.told("inventory")[-1])["artifact_name"] == "release-1"
    lab.meet()  # another start: the same credentials
    assert len(requests(lab.server, "/provision/activate")) == 1
    (identity,) = lab.server.identities("lab")
    assert identity["identity"] == lab.mac and identity["state"] == "provisioned"


def certified(lab, server):
    """A board with release-1 that has a certificate, a device of a product for those."""
    settings = lab.product({"murano_auth": "certificate"}, auth="certificate")
    lab.flash(settings=settings)
    cert, key = server.issue_certificate(lab.mac)
    files = {
        "/cert.der": x509.load_pem_x509_certificate(cert.encode()).public_bytes(Encoding.DER),
        "/key.der": load_pem_private_key(key.encode(), None).private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        ),
    }
    settings |= {"client_cert": "/cert.der", "client_key": "/key.der", "murano_identity": lab.mac}
    lab.flash(settings=settings, files=files)
    return lab


def test_a_board_with_a_certificate_needs_no_activation(lab, server):
    certified(lab, server).meet()
    assert lab.otau("release-1") == ["INSTALLED_VERSION"]


class Storage(ThreadingHTTPServer):
    """Gives `data` to everyone, asks for a certificate, and keeps what it saw of each visitor."""

    def __init__(self, authority, data):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                storage.seen.append((self.connection.getpeercert(), dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        storage, self.seen = self, []
        super().__init__(("127.0.0.1", 0), Handler)
        context = authority.server_context(["localhost"])
        authority.demand(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_an_offers_url_gets_no_credential_of_the_board(lab, server):
    certified(lab, server).meet()
    with Storage(server.server.ca, lab.artifact("release-2").read_bytes()) as storage:
        offer = {"version": "release-2", "name": "Elsewhere", "type": "FILE"}
        offer["payload"] = f"https://localhost:{storage.server_port}/release-2.mender"
        server.set_resource("lab", lab.mac, "config_otau", json.dumps(offer))
        lab.run("success")
        storage.shutdown()
    ((certificate, headers),) = storage.seen
    assert not certificate and sorted(headers) == ["Host", "User-Agent"]
    assert lab.otau("release-2") == installed() and lab.slot() == "ota_1"


def test_data_goes_both_ways(lab, server):
    flashed(lab, product={"resources": RESOURCES}, app=DEVICE)
    server_set = []

    def until(event):
        if event["event"] == "recorded" and not server_set:
            server_set.append(server.set_resource("lab", lab.mac, "say", "a & b = ü"))
        return bool(server_set) and lab.told("heard") == ["a & b = ü"]

    lab.run(until)
    assert lab.told("starts") == ["1"]
    ((stamp, _),) = server.history("lab", lab.mac, "starts")
    assert abs(stamp / 1e6 - dt.datetime.now().timestamp()) < 120


def test_an_artifact_is_offered_installed_and_reported(lab, server):
    flashed(lab)
    lab.meet()
    lab.offer("release-2", lab.artifact("release-2").read_bytes())
    lab.run("success")
    assert lab.otau("release-2") == installed()
    assert lab.slot() == "ota_1"
    assert lab.digest("ota_1", len(image("release-2"))) == sha256(image("release-2"))
    lab.meet()  # the offer still stands, and is not taken again
    assert lab.otau("release-2") == [*installed(), "INSTALLED_VERSION"] and lab.slot() == "ota_1"
    assert len(requests(server, "/provision/download")) == 3  # info, the content, info


def test_an_offer_is_seen_at_once_by_its_long_poll(lab):
    flashed(lab, {"update_poll_interval": 3600})
    lab.meet()
    offered = []

    def until(event):
        if event["event"] == "idle" and not offered:
            offered.append(lab.offer("release-2", lab.artifact("release-2").read_bytes()))
        return event["event"] == "deployment"

    lab.run(until)  # within the minute that a test has, not within the hour


def test_a_raw_image_is_installed_by_its_hash(lab):
    flashed(lab)
    lab.meet()
    data = image("release-2")
    lab.offer("release-2", data, format="firmware", size=len(data), sha256=sha256(data))
    lab.run("success")
    assert lab.otau("release-2") == installed()
    assert lab.slot() == "ota_1" and lab.digest("ota_1", len(data)) == sha256(data)


def test_a_raw_image_with_another_hash_is_refused(lab):
    flashed(lab)
    lab.meet()
    data = image("release-2")
    lab.offer("release-2", data, format="firmware", size=len(data), sha256=sha256(b"other"))
    lab.run("failure")
    assert lab.otau("release-2") == ["INIT", "DOWNLOAD", "DOWNLOAD_ERROR", "DOWNLOAD_ERROR"]
    assert "SHA-256" in json.loads(lab.told()[-1])["message"]
    assert lab.slot() == "ota_0"


def test_what_crashes_goes_back_and_is_not_tried_again_until_it_is_offered_anew(lab):
    flashed(lab)
    lab.meet()
    bad = lab.artifact("release-2", image("release-2", head=CRASH)).read_bytes()
    lab.offer("release-2", bad)
    lab.run("failure")
    failed = lab.otau("release-2")
    assert failed[-1] == "INSTALL_ERROR" and lab.slot() == "ota_0"
    lab.meet()
    assert lab.otau("release-2") == failed
    lab.offer("release-2", lab.artifact("release-2").read_bytes())  # mended, the same name
    lab.run("success")
    assert lab.otau("release-2") == failed + installed() and lab.slot() == "ota_1"


def test_an_offer_that_is_withdrawn_is_given_up(lab, server):
    flashed(lab)
    lab.meet()
    lab.offer("release-2", lab.artifact("release-2").read_bytes())
    gone = []

    def until(event):
        if event.get("state") == "install" and not gone:
            gone.append(server.set_resource("lab", lab.mac, "config_otau", ""))
        return bool(gone) and event["event"] == "idle"

    lab.run(until)
    assert lab.otau("release-2")[-1] == "INSTALL_ABORTED" and lab.slot() == "ota_0"


def test_a_cut_download_goes_on_where_it_was(lab, server):
    flashed(lab)
    lab.meet()
    path = lab.artifact("release-2")
    server.faults({"match": r"download\?id=release-2.bin$", "times": 1, "cut": 100_000})
    lab.offer("release-2", path.read_bytes())
    lab.run("success")
    ranges = [
        value
        for entry in requests(server, "/provision/download")
        for name, value in entry["headers"]
        if name.lower() == "range"
    ]
    assert len(ranges) == 1 and 0 < int(ranges[0][6:-1]) <= 100_000
    assert lab.slot() == "ota_1"


def test_updates_come_from_mender_and_data_goes_to_murano(tmp_path, server):
    lab = Lab(tmp_path, server, heap=None)  # as the board has it
    settings = lab.product(resources=RESOURCES) | {"mender_url": server.url}
    lab.flash(settings={**settings, "max_connections": 2}, app=DEVICE)
    lab.meet()
    deployment = lab.deploy(lab.artifact("release-2", image("release-2", app=DEVICE)))
    lab.run("success")
    assert server.statuses(deployment) == GOOD and lab.slot() == "ota_1"
    lab.run("recorded")
    assert lab.told("starts")[:2] == ["1", "2"]
    assert lab.told("otau_in") == []


def test_murano_gives_updates_where_the_settings_say_so(lab, server):
    settings = lab.product() | {"mender_url": server.url, "update_server": "murano"}
    lab.flash(settings=settings)
    lab.meet()
    assert lab.otau("release-1") == ["INSTALLED_VERSION"]
    assert server.devices() == []


def test_a_blank_board_learns_of_its_product_by_bootstrap(lab, server):
    url = lab.product()["murano_url"]
    lab.flash_blank()
    lab.register({"mender_url": None, "magistrala_url": None, "murano_url": url})
    lab.meet()
    assert [e["state"] for e in lab.events if e["event"] == "configuration"] == ["proven"]
    assert lab.otau("unknown") == ["INSTALLED_VERSION"]


def test_the_clock_is_set_by_murano_where_there_is_no_time_server(tmp_path, server):
    slow = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=12)
    since_2000 = slow - dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)
    lab = Lab(tmp_path, server, heap=MURANO_HEAP, rtc_us=int(since_2000.total_seconds() * 1e6))
    flashed(lab, {"ntp_host": ""}, {"resources": RESOURCES}, app=DEVICE)
    lab.run("recorded")
    ((stamp, _),) = server.history("lab", lab.mac, "starts")
    assert abs(stamp / 1e6 - dt.datetime.now().timestamp()) < 120


def test_whoever_is_not_whitelisted_waits_until_it_is(lab, server):
    flashed(lab, product={"whitelist": True})
    allowed = []

    def until(event):
        if event["event"] == "pending" and not allowed:
            allowed.append(server.allow("lab", lab.mac))
        return event["event"] == "idle"

    lab.run(until)
    assert lab.otau("release-1") == ["INSTALLED_VERSION"]


def test_a_token_that_was_lost_on_its_way_needs_an_operator(lab, server):
    flashed(lab)
    server.faults({"match": "/provision/activate", "drop": "after"})
    said = []

    def until(event):
        if event["event"] == "pending":
            said.append(event["message"])
            if len(said) == 2:
                server.reset_identity("lab", lab.mac)
        return event["event"] == "idle"

    lab.run(until)
    assert "reset" in said[0] and lab.mac in said[0]
    assert lab.otau("release-1") == ["INSTALLED_VERSION"]


def test_an_outage_delays_records_and_loses_none(lab, server):
    flashed(lab, {"outbox_save_interval": 1}, {"resources": RESOURCES}, app=DEVICE)
    lab.run("recorded")
    server.faults({"match": "/onep:v1/stack/record", "times": 3, "status": 503})
    lab.run("recorded")
    lab.run("recorded")
    assert lab.told("starts") == ["1", "2", "3"]


def test_a_start_without_network_is_dated_by_the_next(tmp_path, server):
    slow = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=12)
    since_2000 = slow - dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)
    lab = Lab(tmp_path, server, heap=MURANO_HEAP, rtc_us=int(since_2000.total_seconds() * 1e6))
    flashed(lab, {"ntp_host": ""}, {"resources": RESOURCES}, app=RESTARTS)
    server.faults({"match": ".", "drop": "before", "times": 1000})

    def until(event):
        if event["event"] == "reset":
            server.faults()  # the network is back
        return event["event"] == "recorded"

    began = dt.datetime.now().timestamp()
    lab.run(until)
    assert lab.told("starts") == ["1", "2"]
    first, second = (stamp / 1e6 for stamp, _ in server.history("lab", lab.mac, "starts"))
    # Murano's time is whole seconds.
    assert began - 1 < first < second - 1 and second < dt.datetime.now().timestamp() + 1


@pytest.mark.parametrize("how", ["file", "data"])
def test_a_pico_is_a_device_of_murano_too(tmp_path, server, how):
    lab = Lab(tmp_path, server, "RPI_PICO_W", parts=("murano",))
    flashed(lab, {"file_roots": ["/data"]}, {"resources": RESOURCES}, app=DEVICE)
    if how == "data":
        lab.run("recorded")
        assert lab.told("starts") == ["1"]
        return
    lab.meet()
    path = lab.file_artifact("model-2", "/data", "model.bin", b"weights" * 5000)
    lab.offer("model-2", path.read_bytes())
    lab.run("success")
    assert lab.read("/data/model.bin") == b"weights" * 5000
    assert lab.otau("model-2")[-1] == "INSTALLED_VERSION"
