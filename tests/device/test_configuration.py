# What bootstrap brought becomes settings, on trial at first; and what is wrong in it changes
# nothing.
import json

from answers import FACTORY, Answer, Board, pem

from instar import memory
from instar.configuration import MAX_STARTS, blobs, drop, prove, take
from instar.crypto.pem import from_pem
from instar.errors import Broken, Rejected
from instar.loading import factory
from instar.settings import Settings

PUBLIC = "tests/vectors/public/"
CHANNELS = [{"id": "c1", "name": "data", "type": "data"}, {"id": "c2"}]


def der(text):
    return from_pem(text.encode())[0][1]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def refused(settings, answer):
    """The message; nothing was stored."""
    store = settings.store
    before = {name: store.get(name) for name in store.names()}
    try:
        take(settings, answer)
    except Rejected as error:
        assert before == {name: store.get(name) for name in store.names()}
        return str(error)
    raise AssertionError("accepted")


def proven(board, answer):
    assert take(board.start(), answer)
    prove(board.store)
    return board.start()


# ---- what becomes of an answer


def test_a_blank_board():
    settings = Board().start()
    assert (settings.configured, settings.on_trial, settings.digest) == (False, False, "")
    assert (settings.application, settings.problem) == ({}, None)
    assert settings.mender_url == "https://factory.example"
    assert factory(settings) == FACTORY


def test_an_answer_is_tried_proven_and_used():
    board = Board()
    content = {
        "instar": {"mender_url": "https://m.example", "wifi_password": "pass word", "watchdog": 8},
        "mqtt": {"topic": "t", "deep": [1, [2.5, None]]},
        "name": "caf\xe9 \U0001f600",
    }
    answer = Answer(content, client_id="id-1", secret="s3cret", channels=CHANNELS)
    assert take(board.start(), answer) is True
    for on_trial in (True, True, False):
        settings = board.start()
        assert (settings.configured, settings.on_trial) == (True, on_trial)
        assert settings.digest == answer.digest and settings.problem is None
        assert settings.mender_url == "https://m.example" and settings.watchdog == 8
        assert settings.wifi_password == "pass word"
        assert settings.device_type == "lamp"  # the factory's
        assert settings.retry_interval == 60  # the default
        assert (settings.magistrala_id, settings.magistrala_secret) == ("id-1", "s3cret")
        assert settings.magistrala_channels == CHANNELS
        assert settings.application == {"mqtt": content["mqtt"], "name": content["name"]}
        prove(board.store) if settings.on_trial and board.store.get_json(
            "config-starts"
        ) == 2 else 0
    assert board.store.names() == ["config"]


def test_content_comes_before_the_answers_own_fields():
    answer = Answer(
        {"magistrala_secret": "of content", "magistrala_channels": [{"id": "c9"}]},
        client_id="id-1",
        secret="of the answer",
        channels=CHANNELS,
    )
    settings = proven(Board(), answer)
    assert settings.magistrala_id == "id-1"
    assert settings.magistrala_secret == "of content"
    assert settings.magistrala_channels == [{"id": "c9"}]
    assert settings.application == {}


def test_what_an_answer_does_not_have_stays_the_factorys():
    board = Board(magistrala_id="f-id", magistrala_channels=[{"id": "f"}])
    for content in (None, {}, {"instar": {}}):
        settings = proven(board, Answer(content))
        assert settings.magistrala_id == "f-id" and settings.magistrala_channels == [{"id": "f"}]


def test_the_same_answer_again_is_no_news():
    board = Board()
    answer = Answer({"watchdog": 8})
    assert take(board.start(), answer)
    on_trial = board.start()
    before = board.records()
    assert take(on_trial, answer) is False
    prove(board.store)
    assert take(on_trial, answer) is False and take(board.start(), answer) is False
    assert before["config-new"] == board.records()["config"]


def test_another_answer_replaces_the_one_on_trial_with_a_count_of_its_own():
    board = Board()
    settings = proven(board, Answer({"watchdog": 8}))
    take(settings, Answer({"watchdog": 9}))
    for _ in range(MAX_STARTS - 1):
        settings = board.start()
        assert settings.on_trial
    assert take(settings, Answer({"watchdog": 10}))
    settings = board.start()
    assert settings.watchdog == 10 and board.store.get_json("config-starts") == 1
    assert take(settings, Answer({"watchdog": 8}))  # proven once, and on trial again
    assert board.start().on_trial and board.start().watchdog == 8


# ---- certificates


def test_certificates_are_kept_as_der_and_read_when_asked_for():
    board = Board()
    content = {
        "instar": {
            "ca": [pem("ca-rsa.pem")],
            "artifact_verify_keys": [read(PUBLIC + "p256.pem").decode()],
        }
    }
    answer = Answer(
        content,
        ca_cert=pem("ca.pem"),
        client_cert=pem("client.pem"),
        client_key=pem("client-key.pem"),
    )
    take(board.start(), answer)
    on_trial = board.start()
    prove(board.store)  # the record has another name by now
    for settings in (on_trial, board.start()):
        assert settings.ca_certificates() == [der(pem("ca.pem")), der(pem("ca-rsa.pem"))]
        assert settings.client_certificate() == (
            der(pem("client.pem")),
            der(pem("client-key.pem")),
        )
        assert settings.verify_keys() == [read(PUBLIC + "p256.der")]
        assert settings.ca == [] and settings.client_cert == "" and not settings.application
    assert b"BEGIN" not in board.records()["config"]
    for secret in ("application", "mender_url"):
        assert secret not in settings._kinds
    try:
        blobs(board.store, "0" * 64, "ca")
    except Broken as error:
        assert "expected a record of 0000" in str(error)
    else:
        raise AssertionError("the blobs of a configuration that is not there")


def test_the_factorys_certificates_stay():
    board = Board()
    path = board.root + "/ca.der"
    with open(path, "wb") as file:
        file.write(der(pem("ca.pem")))
    keys = [PUBLIC + "p256.pem"]
    board.provision(ca=[path], client_cert=path, client_key=path, artifact_verify_keys=keys)
    settings = proven(board, Answer(None, ca_cert=pem("ca-rsa.pem")))
    assert settings.ca_certificates() == [der(pem("ca.pem")), der(pem("ca-rsa.pem"))]
    assert settings.client_certificate() == (der(pem("ca.pem")), der(pem("ca.pem")))
    assert settings.verify_keys() == [read(keys[0])]
    pair = {"client_cert": pem("client-rsa.pem"), "client_key": pem("client-rsa-key.pem")}
    settings = proven(board, Answer(pair, client_cert="no certificate", client_key=""))
    assert settings.client_certificate()[0] == der(pem("client-rsa.pem"))
    assert settings.ca_certificates() == [der(pem("ca.pem"))]


def test_the_factorys_keys_for_artifacts_cannot_be_replaced():
    keys = [PUBLIC + "p256.pem"]
    board = Board(artifact_verify_keys=keys, downgrade_key="rootfs-image.version")
    key = read(PUBLIC + "rsa2048.pem").decode()
    message = refused(board.start(), Answer({"artifact_verify_keys": [key]}))
    assert "artifact_verify_keys are set at the factory" in message
    assert "set at the factory" in refused(board.start(), Answer({"downgrade_key": ""}))
    # Those of a configuration do not count once the factory's file has its own.
    board.provision()
    settings = proven(board, Answer({"artifact_verify_keys": [key]}))
    assert settings.verify_keys() == [read(PUBLIC + "rsa2048.der")]
    board.provision(artifact_verify_keys=keys)
    assert board.start().verify_keys() == [read(keys[0])]


# ---- what is refused

WRONG = {
    list: (5, "x", {}, None, True, [5], [[]]),
    str: (5, [], {}, None, True, "\0", "a\r\nb", "x" * 2000),
    int: ("5", [], {}, None, True, 2.5, -1, 1 << 40, 1e99),
    bool: (5, "true", [], {}, None),
}


def stay_loaded():
    """Importing the modules anew for each of many rows takes seconds."""
    memory.forget = lambda package: None


def test_wrong_types_of_every_setting():
    stay_loaded()
    settings = Board().start()
    values = settings._values
    for name in values:
        for wrong in WRONG.get(type(values[name]), ()):
            message = refused(settings, Answer({"instar": {name: wrong}}))
            assert name in message, (name, wrong, message)


def test_what_only_the_factory_decides():
    settings = Board().start()
    for name, value in (
        ("allow_plain_http", True),
        ("bootstrap_plain_http", False),
        ("bootstrap_profile", "things"),
        ("bootstrap_url", "https://other.example"),
        ("crypto_key", ""),
        ("external_id", "other"),
        ("external_key", "k3y"),
        ("identity", {"mac": "x"}),
    ):
        for content in ({name: value}, {"instar": {name: value}}):
            message = refused(settings, Answer(content))
            assert f"settings: {name}: expected only in the factory's file" in message
            assert "k3y" not in message


def test_hostile_content():
    settings = Board().start()
    deep = json.loads("[" * 5000 + "]" * 5000)
    rows = (
        ({"colour": 1}, "unknown name 'colour'"),
        ({"colour": 1}, 'content without "instar" is all settings'),
        ({"instar": {"colour": 1}}, "unknown name 'colour'"),
        ({"instar": []}, '"instar" in content: expected an object, got list'),
        ({"instar": None}, "expected an object, got NoneType"),
        ({"instar": "x"}, "expected an object, got str"),
        ({"mender_url": "http://m.example"}, "mender_url is plain http"),
        ({"magistrala_url": "http://m.example"}, "magistrala_url is plain http"),
        ({"mender_url": "https://u:p4ss@m.example"}, "mender_url: expected an http(s) URL"),
        ({"ca": "x"}, "ca: expected a list of texts, got str"),
        ({"ca": ["/.instar/identity-key"]}, "ca 1: expected PEM or base64 of DER, no path"),
        ({"ca": [pem("ca.pem"), "../ca.der"]}, "ca 2: expected PEM or base64 of DER, no path"),
        ({"artifact_verify_keys": ["../x"]}, "artifact_verify_keys 1: expected PEM or base64"),
        ({"artifact_verify_keys": {}}, "artifact_verify_keys: expected a list of texts"),
        ({"client_cert": "/c.der", "client_key": "/k"}, "client_cert: expected PEM or base64"),
        ({"client_cert": pem("client.pem")}, "client_cert: expected a client_key too"),
        ({"client_key": pem("client-key.pem")}, "client_key: expected a client_cert too"),
        ({"file_roots": ["/data/../.instar"]}, "file_roots: expected a list of absolute folders"),
        ({"watchdog": deep}, "3600 seconds, got what is nested too deep"),
        ({"mender_url": deep}, "mender_url: expected"),
        ({"ca": deep}, "ca 1: expected PEM or base64 of DER, got list"),
        ({"identity": deep}, "identity: expected only in the factory's file"),
        ({"magistrala_channels": deep}, "magistrala_channels: expected"),
        ({"instar": deep}, "expected an object, got list"),
        ({"instar": {}, "x": deep}, "expected content that can be kept as JSON"),
        ({"instar": {}, "x": json.loads("1e999")}, "expected content that can be kept as JSON"),
        ({"instar": {}, "x": "y" * 16384}, "expected at most 16384 bytes in all, got 16"),
        ({"instar": {}, "x": "y" * 100000}, "expected at most 16384 bytes in all, got 100"),
    )
    for content, expected in rows:
        message = refused(settings, Answer(content, digest="ab" * 32))
        assert expected in message, (expected, message)
        assert "p4ss" not in message and len(message) < 2000
    for given, expected in (
        ({"ca_cert": "garbage!"}, "ca_cert: expected PEM or base64 of DER"),
        ({"ca_cert": pem("client-key.pem")}, "ca_cert: expected PEM of CERTIFICATE"),
        ({"client_cert": pem("client.pem")}, "client_cert: expected a client_key too"),
        ({"client_key": pem("client-key.pem")}, "client_key: expected a client_cert too"),
        ({"client_id": "a\nb"}, "magistrala_id: expected a string"),
        ({"secret": ["s3cret"]}, "magistrala_secret: expected a string, got another value"),
        ({"secret": "s3cret\r\n"}, "magistrala_secret: expected a string, got another value"),
        ({"channels": ["c1"]}, "magistrala_channels: expected a list of objects"),
        ({"channels": [{"id": "a/../b"}]}, "magistrala_channels: expected"),
        ({"channels": [{"name": "b"}]}, "magistrala_channels: expected"),
    ):
        message = refused(settings, Answer(None, **given))
        assert expected in message and "s3cret" not in message, (expected, message)


def test_as_large_as_a_record_can_be():
    stay_loaded()
    board = Board()
    for size in range(16384 - 110, 16384):
        try:
            take(board.start(), Answer({"instar": {}, "x": "y" * size}))
        except Rejected as error:
            assert "got 16385" in str(error)  # one more than before
            break
        assert len(board.store.get("config-new")) <= 16384
    else:
        raise AssertionError("nothing is too large")
    assert len(board.start().application["x"]) == size - 1


def test_plain_http_where_the_factory_allows_it():
    board = Board(allow_plain_http=True)
    settings = proven(board, Answer({"mender_url": "http://m.example"}))
    assert settings.mender_url == "http://m.example"
    board.provision()  # the factory's file changes its mind
    settings = board.start()
    assert not settings.configured and settings.mender_url == "https://factory.example"
    assert "mender_url is plain http" in settings.problem


# ---- on trial


def test_a_configuration_that_only_crashes_is_dropped():
    board = Board()
    proven(board, Answer({"watchdog": 8}))
    take(board.start(), Answer({"watchdog": 9}))
    for _ in range(MAX_STARTS - 1):
        settings = board.start()
        assert settings.on_trial and settings.watchdog == 9 and settings.problem is None
    for _ in range(2):
        settings = board.start()
        assert settings.configured and not settings.on_trial and settings.watchdog == 8
        assert f"a success within {MAX_STARTS} starts, got none" in settings.problem
    assert board.store.names() == ["config", "config-dropped"]


class Faulty:
    """A store with faults."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)


class Fragile(Faulty):
    """Of a board whose heap is too small for the configuration on trial."""

    def get(self, name):
        if name == "config-new":
            raise MemoryError("memory allocation failed")
        return self._store.get(name)


def test_a_configuration_that_crashes_as_it_is_read_is_dropped():
    board = Board()
    proven(board, Answer({"watchdog": 8}))
    take(board.start(), Answer({"watchdog": 9}))
    for _ in range(MAX_STARTS - 1):
        try:
            Settings.load(board.path, Fragile(board.store))
        except MemoryError:
            continue
        raise AssertionError("read")
    assert Settings.load(board.path, Fragile(board.store)).watchdog == 8


def test_dropped_with_a_reason_that_is_told_until_the_next_one():
    board = Board()
    take(board.start(), Answer({"watchdog": 8}))
    assert board.start().on_trial
    drop(board.store, "nobody answered")
    for _ in range(2):
        settings = board.start()
        assert not settings.configured and settings.watchdog == 60
        assert settings.problem == "configuration: the new one was dropped: nobody answered"
    assert take(settings, Answer({"watchdog": 8}))  # the same as before may come again
    assert board.start().problem is None
    prove(board.store)
    assert board.start().problem is None and board.start().watchdog == 8


def test_prove_and_drop_without_anything_on_trial():
    board = Board()
    prove(board.store)
    assert board.store.names() == []
    settings = proven(board, Answer({"watchdog": 8}))
    prove(board.store)
    drop(board.store, "x" * 9000)
    assert board.start().watchdog == settings.watchdog == 8
    assert len(board.store.get("config-dropped")) == 200


def damaged(board, name, change):
    path = f"{board.root}/state/{name}"
    raw = read(path)
    with open(path, "wb") as file:
        file.write(change(bytearray(raw)))


def flipped(raw):
    raw[len(raw) // 2] ^= 1
    return raw


def test_damaged_records_never_stop_a_board():
    for change in (
        flipped,
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0" * 17000,
    ):
        board = Board()
        proven(board, Answer({"watchdog": 8}))
        take(board.start(), Answer({"watchdog": 9}))
        board.start()
        damaged(board, "config-starts", change)
        assert board.start().on_trial and board.store.get_json("config-starts") == 1
        damaged(board, "config-new", change)
        settings = board.start()
        assert settings.watchdog == 8 and "the new one was dropped" in settings.problem
        assert "config-new" not in board.store.names()
        damaged(board, "config-dropped", change)
        assert "the new one was dropped" in board.start().problem
        damaged(board, "config", change)
        settings = board.start()
        assert not settings.configured and settings.watchdog == 60
        assert "what is stored cannot be used" in settings.problem
        assert take(settings, Answer({"watchdog": 8}))
        assert board.start().watchdog == 8


def test_records_of_other_firmware_never_stop_a_board():
    board = Board()
    take(board.start(), Answer({"watchdog": 8}))
    record = board.store.get("config-new")
    text = b'"watchdog": 8'
    for old, new in (
        (text, b'"watchdoh": 8'),  # a name that this firmware does not know
        (text, b'"watchdog": 2'),
        (text, b'"watchdog"= 8'),  # no JSON
        (b'{"watchdog": 8}', b'{"identity":{}}'),  # the factory's alone
        (b'{"watchdog": 8}', b'{"ca": ["/ca"]}'),  # a path
        (b"\x01", b"\x02"),  # another version
    ):
        assert old in record
        changed = record.replace(old, new, 1)
        for name in ("config-new", "config"):
            board.store.put(name, changed)
            settings = board.start()
            assert not settings.configured, new
            assert settings.watchdog == 60 and settings.problem
            assert "config-new" not in board.store.names()
        board.store.delete("config")
    for raw in (b"", b"\x01", record[:30], record[:34]):
        board.store.put("config-new", raw)
        assert board.start().problem


def test_a_board_that_does_not_bootstrap_has_no_configuration():
    board = Board()
    proven(board, Answer({"watchdog": 8}))
    board.provision(bootstrap_url="")
    settings = board.start()
    assert not settings.configured and settings.watchdog == 60


class FullFlash(Faulty):
    """On which nothing more fits."""

    def put(self, name, data):
        raise OSError(28)

    def put_json(self, name, value):
        raise OSError(28)


def test_a_full_flash_stops_no_board():
    board = Board()
    settings = proven(board, Answer({"watchdog": 8}))
    take(settings, Answer({"watchdog": 9}))
    settings = Settings.load(board.path, FullFlash(board.store))
    assert settings.watchdog == 8 and not settings.on_trial
    assert "28" in settings.problem
    try:
        take(settings, Answer({"watchdog": 10}))
    except OSError as error:
        assert error.errno == 28
    else:
        raise AssertionError("stored on a full flash")
    assert board.start().watchdog == 8
