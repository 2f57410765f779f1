import os

from instar.errors import Rejected
from instar.settings import Settings


def refusal(values):
    try:
        Settings(values)
    except Rejected as error:
        return str(error)
    raise AssertionError(f"accepted: {values}")


def test_defaults_are_the_official_clients():
    settings = Settings({})
    assert settings.update_poll_interval == 1800
    assert settings.inventory_poll_interval == 28800
    assert settings.proof_timeout == 1800
    assert settings.artifact_name == "unknown"


def test_values_are_attributes():
    settings = Settings({"mender_url": "https://m.example", "ca": ["/ca.der"], "watchdog": 8})
    assert (settings.mender_url, settings.ca, settings.watchdog) == (
        "https://m.example",
        ["/ca.der"],
        8,
    )


def test_wrong_values_name_what_was_expected_and_what_came():
    rows = (
        ({"colour": "red"}, "unknown name 'colour'"),
        ({"watchdog": "8"}, "watchdog: expected 0 (off), or 3 to 3600 seconds, got '8'"),
        ({"watchdog": True}, "got True"),
        ({"watchdog": False}, "got False"),
        ({"watchdog": 0.0}, "got 0.0"),
        ({"update_poll_interval": 0}, "expected 1 to 31536000 seconds, got 0"),
        ({"update_poll_interval": 2.5}, "got 2.5"),
        (
            {"mender_url": "ftp://x"},
            "URL without user name or query, got 'ftp://x'",
        ),
        ({"ca": "/ca.der"}, "expected a list of paths"),
        ({"artifact_verify_keys": "/k.pem"}, "expected a list of paths of public keys"),
        ({"file_roots": ["data"]}, "expected a list of absolute folders"),
        ({"file_roots": ["/data/../x"]}, "expected a list of absolute folders"),
        ({"file_roots": ["/data/"]}, "expected a list of absolute folders"),
        ({"file_roots": [""]}, "expected a list of absolute folders"),
        ({"ca": [1]}, "expected a list of paths"),
        ({"identity": {"mac": 5}}, "expected an object of strings"),
        ({"allow_plain_http": 1}, "expected true or false, got 1"),
        ({"device_type": "x" * 2000}, "device_type: expected a string"),
    )
    for values, text in rows:
        assert text in refusal(values), (values, refusal(values))


def test_a_secret_is_not_in_the_message():
    for name in (
        "tenant_token",
        "wifi_password",
        "external_key",
        "crypto_key",
        "magistrala_secret",
    ):
        for value in (["hunter2"], "hunter2\n", {"a": "hunter2"}):
            text = refusal({name: value})
            assert name in text and "hunter2" not in text
    url = "https://me:hunter2@m.example"
    for value in (url, [url], url.replace("@", "x" * 90 + "@")):
        assert "hunter2" not in refusal({"mender_url": value})


def test_urls_name_a_host_and_nothing_that_paths_could_not_follow():
    good = (
        "",
        "https://m",
        "https://m.example/",
        "https://m.example:8443/base/path",
        "https://10.0.0.1:1",
        "https://[::1]",
        "https://[fe80::1]:65535/x",
        "https://a-b_c.example",
        "https://m/%41@b:c",
    )
    for url in good:
        assert Settings({"mender_url": url}).mender_url == url
    bad = (
        "https://",
        "https:///x",
        "https:/m",
        "https:m",
        "https://:443",
        "https://me@m",
        "https://me:secret@m",
        "https://m:",
        "https://m:x",
        "https://m:0",
        "https://m:65536",
        "https://m:443443",
        "https://m m",
        "https://m/a b",
        "https://m/\r\nHost: x",
        "https://m\0",
        "https://m\t",
        "https://m\x7f",
        "https://m\xe9",
        "https://m?x",
        "https://m/#x",
        "https://[::1",
        "https://[m]",
        "https://[::1]x",
        "https://::1",
        "HTTPS://m",
        " https://m",
        "m",
        "/",
        "file:///x",
        "https://" + "m" * 1024,
        5,
        None,
        [],
        {},
        False,
    )
    for url in bad:
        for name in ("mender_url", "bootstrap_url", "magistrala_url"):
            assert f"{name}: expected an http(s) URL" in refusal({name: url}), url


def test_control_characters_are_in_no_text():
    for char in ("\0", "\r", "\n", "\t", "\x1b", "\x7f"):
        for name in ("wifi_ssid", "magistrala_id", "device_type", "ntp_host"):
            assert name in refusal({name: f"a{char}b"})
        assert "identity" in refusal({"identity": {"mac": char}})
        assert "magistrala_channels" in refusal({"magistrala_channels": [{"id": "a" + char}]})
    assert Settings({"wifi_ssid": "caf\xe9 \U0001f600"}).wifi_ssid == "caf\xe9 \U0001f600"


def test_a_long_name_is_not_repeated():
    assert len(refusal({"x" * 9000: 1})) < 2000


def test_plain_http_only_where_the_settings_say_so():
    assert "allow_plain_http" in refusal({"mender_url": "http://m"})
    assert Settings({"mender_url": "http://m", "allow_plain_http": True}).mender_url == "http://m"


def test_files_that_are_not_settings():
    path = f"/tmp/instar-settings-{os.urandom(6).hex()}"
    rows = (b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b" " * 9000)
    for raw in rows:
        with open(path, "wb") as file:
            file.write(raw)
        try:
            Settings.load(path)
        except Rejected as error:
            assert "settings" in str(error)
        else:
            raise AssertionError(raw)
    os.remove(path)
    try:
        Settings.load(path)
    except Rejected as error:
        assert "is missing" in str(error)
    else:
        raise AssertionError("a missing file was accepted")


def test_certificates_are_der_files():
    path = f"/tmp/instar-ca-{os.urandom(6).hex()}"
    with open(path, "wb") as file:
        file.write(b"\x30\x03abc")
    assert Settings({"ca": [path, path]}).ca_certificates() == [b"\x30\x03abc"] * 2
    assert Settings({}).client_certificate() == (None, None)
    with open(path, "wb") as file:
        file.write(b"-----BEGIN")
    try:
        Settings({"ca": [path]}).ca_certificates()
    except Rejected as error:
        assert "not DER" in str(error)
    else:
        raise AssertionError("PEM was taken for DER")
    os.remove(path)


def test_folders_for_files():
    assert Settings({}).file_roots == ["/data"]
    for roots in ([], ["/"], ["/data", "/www/static"]):
        assert Settings({"file_roots": roots}).file_roots == roots


def test_keys_for_artifacts_are_read_as_they_are():
    path = f"/tmp/instar-key-{os.urandom(6).hex()}"
    with open(path, "wb") as file:
        file.write(b"-----BEGIN PUBLIC KEY-----\n")
    assert Settings({"artifact_verify_keys": [path]}).verify_keys() == [
        b"-----BEGIN PUBLIC KEY-----\n"
    ]
    os.remove(path)
    try:
        Settings({"artifact_verify_keys": [path]}).verify_keys()
    except Rejected as error:
        assert "is missing" in str(error)
    else:
        raise AssertionError("a key that is missing must stop the download")


def test_the_update_server_is_the_one_there_is():
    mender, murano = {"mender_url": "https://m.example"}, {"murano_url": "https://p.example"}
    both = dict(mender)
    both.update(murano)
    rows = ((mender, "mender"), (murano, "murano"), (both, "mender"), ({}, ""))
    for values, expected in rows:
        assert Settings(values).update_server == expected
    both["update_server"] = "murano"
    assert Settings(both).update_server == "murano"
    mender["update_server"] = "murano"
    assert refusal(mender).endswith("update_server is murano: expected murano_url, got none")
    mender["bootstrap_url"] = "https://b.example"  # which may bring the other one yet
    assert Settings(mender).update_server == "mender"


def test_muranos_settings():
    text = refusal({"murano_password": "nineteen characters"})
    assert "20 characters at least" in text and "nineteen" not in text
    assert "got 301" in refusal({"murano_wait": 301})
    assert "cik, token, password or certificate" in refusal({"murano_auth": "basic"})
    assert "allow_plain_http" in refusal({"murano_url": "http://p.example"})
