from artifact_build import (
    CHUNKINGS,
    END,
    INFO,
    TYPE_INFO,
    VERSION,
    artifact,
    chunks,
    digest,
    gzip,
    header_tar,
    member,
    members_of,
    rejection,
    tar,
    tar_header,
    vector,
)

from instar.artifact.reader import Reader
from instar.errors import Rejected

NAMES = ("rootfs_gzip", "rootfs_none", "module_files", "module_rsa", "module_p256")
FIRMWARE = "f41dd76c4954bcee6ceb8a7af3cf744493718d75ae11b5bc18dd4016e1eab28d"


class Sink:
    def __init__(self, size):
        self.size = size
        self.data = b""
        self.closed = False

    def write(self, view):
        assert not self.closed
        self.data += bytes(view)

    def close(self):
        assert len(self.data) == self.size
        self.closed = True


class Reading:
    """One Artifact read: the header, the sinks by name, and the order of the calls."""

    def __init__(self, data, size=0, on_header=None, **options):
        self.header = None
        self.sinks = {}
        self.on_header = on_header
        reader = Reader(self.take_header, self.open_file, **options)
        try:
            for view in chunks(data, size):
                reader.feed(view)
            reader.finish()
        finally:
            reader.close()
        assert reader.header is self.header

    def take_header(self, header):
        assert self.header is None and not self.sinks
        self.header = header
        if self.on_header:
            self.on_header(header)

    def open_file(self, name, size):
        assert self.header and name not in self.sinks
        self.sinks[name] = Sink(size)
        return self.sinks[name]

    def outcome(self):
        """All that a board would act on."""
        header = dict(self.header.__dict__)
        return header, {name: sink.data for name, sink in self.sinks.items() if sink.closed}


def refused(data, **options):
    return rejection(lambda: Reading(data, **options))


def without(found, key):
    return {name: value for name, value in found.items() if name != key}


def changed(found, key, value):
    found = dict(found)
    found[key] = value
    return found


# What real Artifacts say


def test_a_rootfs_image_with_gzip():
    header, files = Reading(vector("rootfs_gzip.mender")).outcome()
    assert header["artifact_name"] == "v2" and header["artifact_group"] is None
    assert header["device_types"] == ["esp32"]
    # mender-artifact 3.9.0 leaves the type in type-info empty.
    assert header["payload_type"] == "rootfs-image"
    assert header["provides"] == {
        "artifact_name": "v2",
        "rootfs-image.checksum": FIRMWARE,
        "rootfs-image.version": "v2",
    }
    assert header["depends"] == {"device_type": ["esp32"]}
    assert header["clears_provides"] == [
        "artifact_group",
        "rootfs_image_checksum",
        "rootfs-image.*",
    ]
    assert header["meta_data"] == {} and header["signed"] is False
    assert header["files"] == [("firmware.bin", FIRMWARE)]
    assert len(header["manifest_sha256"]) == 64
    assert list(files) == ["firmware.bin"] and digest(files["firmware.bin"]) == FIRMWARE


def test_an_uncompressed_one_with_groups_and_depends():
    header, files = Reading(vector("rootfs_none.mender")).outcome()
    assert header["artifact_group"] == "fleet"
    assert header["provides"]["artifact_group"] == "fleet"
    assert header["provides"]["made"] == "here"
    assert header["depends"] == {
        "device_type": ["esp32"],
        "artifact_name": ["v1"],
        "artifact_group": ["fleet"],
        "key": ["value"],
    }
    assert digest(files["firmware.bin"]) == FIRMWARE


def test_several_files_one_empty_one_with_a_long_name():
    header, files = Reading(vector("module_files.mender")).outcome()
    assert header["payload_type"] == "micropython-app"
    assert header["device_types"] == ["esp32", "pico"]
    assert header["meta_data"] == {"dest_dir": "/app", "modes": ["a", "b"]}
    assert [name for name, _ in header["files"]] == [
        "notes.txt",
        "empty.bin",
        "firmware.bin",
        "a" + "b" * 118,
    ]
    assert files["notes.txt"] == b"hello\n" and files["empty.bin"] == b""
    assert files["a" + "b" * 118] == b"a long name\n"
    assert {name: digest(data) for name, data in files.items()} == dict(header["files"])


def test_no_files_and_no_payload():
    header, files = Reading(vector("module_no_files.mender")).outcome()
    assert header["payload_type"] == "micropython-app" and files == {}
    header, files = Reading(vector("bootstrap.mender")).outcome()
    assert header["payload_type"] is None and files == {}
    assert header["provides"] == {"artifact_name": "v0", "a": "b"}
    assert header["clears_provides"] == ["x*"]


def test_every_chunking_gives_the_same():
    for name in NAMES:
        data = vector(name + ".mender")
        expected = Reading(data).outcome()
        for size in CHUNKINGS:
            assert Reading(data, size).outcome() == expected, (name, size)


def test_what_a_board_cannot_take_is_refused_by_name():
    message = refused(vector("rootfs_xz.mender"))
    assert "header.tar.xz" in message and "--compression gzip or none" in message
    message = refused(vector("rootfs_version2.mender"))
    assert "{'format': 'mender', 'version': 2}" in message
    script = vector("rootfs_script.mender")
    assert "no state scripts" in refused(script)
    assert "ArtifactInstall_Enter_00" in refused(script)
    assert Reading(script, ignore_scripts=True).header.artifact_name == "v2"


# Whom it is for


def test_check_names_both_sides():
    header = Reading(vector("rootfs_none.mender")).header
    board = {
        "device_type": "esp32",
        "artifact_name": "v1",
        "artifact_group": "fleet",
        "key": "value",
    }
    header.check(board)
    header.check(changed(board, "more", "of it"))
    message = rejection(header.check, changed(board, "device_type", "rpi"))
    assert message == "Artifact is for device types ['esp32'], this board is 'rpi'"
    assert rejection(header.check, changed(board, "device_type", "ESP32"))
    message = rejection(header.check, changed(board, "artifact_name", "v0"))
    assert message == "Artifact depends on artifact_name ['v1'], this board provides 'v0'"
    message = rejection(header.check, without(board, "key"))
    assert message == "Artifact depends on key ['value'], this board provides nothing"


def test_depends_lists_are_any_of_and_a_key_in_both_headers_must_satisfy_both():
    info = changed(INFO, "artifact_depends", {"device_type": ["a", "b", "c"]})
    depends = {"device_type": ["b", "c", "d"], "one": "x", "any": ["y", "z"]}
    header = Reading(
        artifact(info=info, type_info=changed(TYPE_INFO, "artifact_depends", depends))
    )
    header = header.header
    assert header.depends == {"device_type": ["b", "c"], "one": ["x"], "any": ["y", "z"]}
    header.check({"device_type": "c", "one": "x", "any": "z"})
    never = changed(TYPE_INFO, "artifact_depends", {"device_type": "d"})
    assert "can be met" in refused(artifact(info=info, type_info=never))


def test_on_header_may_refuse_before_any_file_is_opened():
    data = vector("rootfs_gzip.mender")
    opened = []
    reader = Reader(lambda header: header.check({"device_type": "pico"}), opened.append)
    assert "for device types ['esp32']" in rejection(reader.feed, memoryview(data))
    assert opened == []
    assert "nothing more after an error" in rejection(reader.feed, memoryview(data))
    assert "nothing more after an error" in rejection(reader.finish)


# The signature's hook


def test_verify_gets_the_literal_manifest_before_the_header_is_looked_at():
    calls = []

    def verify(manifest, signature):
        calls.append((manifest, signature))
        yield

    for name, length in (("module_rsa", 344), ("module_p256", 88)):
        data = vector(name + ".mender")
        for size in CHUNKINGS:
            found = Reading(data, size, verify=verify, on_header=calls.append)
            assert found.header.signed is True
            (manifest, signature), header = calls
            assert header is found.header and digest(manifest) == header.manifest_sha256
            assert len(signature) == length and signature in data and manifest in data
            calls.clear()
    found = Reading(artifact(), verify=verify)
    assert calls[0][1] is None and found.header.signed is False


def test_what_verify_refuses_is_refused():
    def verify(manifest, signature):
        yield
        raise Rejected("manifest.sig: expected a signature, got none")

    for parts in ({}, {"signature": b""}, {"signature": b"x"}):
        message = refused(artifact(header=b"not looked at", **parts), verify=verify)
        assert message.startswith("manifest.sig"), parts


def signed(count, log):
    """A signed Artifact, and a verify of so many steps that says what it does in the log."""

    def verify(manifest, signature):
        for i in range(count):
            log.append(i)
            yield
        log.append("good")

    return memoryview(artifact(signature=b"c2lnbmVk")), verify


def test_steps_let_others_work_and_take_the_rest_of_the_view_after_the_last():
    log = []
    data, verify = signed(5, log)

    def on_header(header):
        log.append("header")

    def open_file(name, size):
        log.append(name)
        return Sink(size)

    reader = Reader(on_header, open_file, verify=verify)
    for _ in reader.steps(data):
        log.append("others")
        assert reader.header is None
    reader.finish()
    expected = []
    for i in range(5):
        expected += [i, "others"]
    assert log == expected + ["good", "header", "a.txt"]


def test_steps_are_those_of_the_verification_only():
    data, verify = signed(3, [])
    for size in CHUNKINGS:
        reader = Reader(lambda header: None, lambda name, size: Sink(size), verify=verify)
        steps = 0
        for view in chunks(data, size):
            for _ in reader.steps(view):
                steps += 1
        reader.finish()
        assert steps == 3, size
    # Without a verification there is not even an iterator to make.
    reader = Reader(lambda header: None, lambda name, size: Sink(size))
    assert reader.steps(data) == ()


def test_a_verification_that_was_given_up_is_never_passed_by():
    for driven in (0, 1):
        log = []
        data, verify = signed(3, log)
        reader = Reader(log.append, log.append, verify=verify)
        steps = reader.steps(data)
        for _ in range(driven):
            next(steps)
        for call, args in ((reader.feed, (data,)), (reader.steps, (data,)), (reader.finish, ())):
            assert "nothing more after an error" in rejection(call, *args)
        reader.close()
        assert "nothing more after an error" in rejection(list, steps)
        assert reader.header is None and log == list(range(driven))


def test_closing_ends_a_verification_in_mid_course():
    ended = []

    def verify(manifest, signature):
        try:
            yield
            raise AssertionError("it went on")
        finally:
            ended.append(True)

    reader = Reader(None, None, verify=verify)
    for _ in reader.steps(memoryview(artifact(signature=b"c2lnbmVk"))):
        break
    assert ended == []
    reader.close()
    reader.close()
    assert ended == [True]


def test_a_verify_without_steps_is_an_error_and_no_consent():
    for data in (artifact(), artifact(signature=b"c2lnbmVk")):
        reader = Reader(None, None, verify=lambda manifest, signature: None)
        try:
            reader.feed(memoryview(data))
        except TypeError:
            assert "nothing more after an error" in rejection(reader.finish)
        else:
            raise AssertionError("None was taken for steps")


# Damage: a sample, on what mender-artifact wrote. Every length is in test_artifact_damage.py,
# every byte in test_artifact_flips.py.
_STEP = 61  # prime to a tar's blocks


def test_truncations_are_refused():
    for data in (vector("rootfs_gzip.mender"), artifact(packed=True)):
        for length in range(0, len(data), _STEP):
            assert refused(data[:length]), length


def test_a_flipped_byte_never_gives_something_else():
    for name in ("module_rsa", "rootfs_gzip"):
        data = bytearray(vector(name + ".mender"))
        expected = Reading(data).outcome()
        refusals = 0
        for at in range(0, len(data), _STEP):
            data[at] ^= 0x55
            try:
                found = Reading(data).outcome()
            except Rejected:
                refusals += 1
            else:
                # The signature's own bytes are verify's matter; the rest is padding.
                assert found == expected, at
            data[at] ^= 0x55
        assert refusals > 40


def test_a_sink_is_closed_only_when_the_sum_matched():
    good = members_of(files=(("a.txt", b"hello\n"),))
    bad = tar(*good[:-1], ("data/0000.tar", tar(("a.txt", b"hellO\n"))))
    sinks = []

    def open_file(name, size):
        sinks.append(Sink(size))
        return sinks[-1]

    reader = Reader(lambda header: None, open_file)
    message = rejection(reader.feed, memoryview(bad))
    assert message.startswith("data/0000/a.txt: expected SHA-256 " + digest(b"hello\n"))
    assert digest(b"hellO\n") in message
    assert not sinks[0].closed


def test_the_errors_of_the_callbacks_pass_through():
    def full(name, size):
        raise OSError(28)

    reader = Reader(lambda header: None, full)
    try:
        reader.feed(memoryview(artifact(packed=True)))
    except OSError as error:
        assert error.errno == 28
    else:
        raise AssertionError("no error")


# One row per rule of the format: what is wrong, and what the refusal says


def outer(*members):
    return tar(*members)


def with_manifest(edit):
    manifest = members_of()[1][1]
    return artifact(manifest=edit(manifest))


def test_the_outer_grammar():
    version, manifest, header, data = members_of()
    rows = (
        (b"garbage" * 200, "a ustar header"),
        (outer(), "more members, got its end"),
        (outer(version), "more members, got its end"),
        (outer(version, manifest, header), "more members, got its end"),
        (outer(manifest, version, header, data), "version as the next member"),
        (outer(("versionX", VERSION), manifest, header, data), "version as the next member"),
        (outer(("./version", VERSION), manifest, header, data), "version as the next member"),
        (outer(version, header, manifest, data), "manifest as the next member"),
        (outer(version, manifest, data, header), "header.tar or header.tar.gz as the next"),
        (outer(version, manifest, ("manifest-augment", b""), header, data), "augmented"),
        (outer(version, manifest, header, ("header-augment.tar", b""), data), "augmented"),
        (outer(version, manifest, header, header, data), "data/0000.tar or data/0000.tar.gz"),
        (outer(version, manifest, header, data, data), "its end after data/0000.tar"),
        (outer(version, manifest, header, data, ("data/0001.tar", END)), "its end after"),
        (outer(version, manifest, header, ("data/0001.tar", END)), "data/0000.tar or"),
        (
            outer(version, manifest, header, ("data/0000.tar.zst", b"")),
            "--compression gzip or none",
        ),
        (outer(version, manifest, header, ("data/0000.tar.bz2", b"")), "data/0000.tar or"),
        (outer(version, manifest, ("manifest.sig", b""), ("manifest.sig", b"")), "header.tar or"),
        (member("version", kind="5") + END, "plain files, got 'version' of type '5'"),
        (artifact() + b"x", "nothing but zeros after the end"),
    )
    for data, expected in rows:
        message = refused(data)
        assert message and expected in message, (expected, message)


def test_the_version():
    rows = (
        (b"{", "expected a key"),
        (b'{"format":"mender","version":4}', "'version': 4"),
        (b'{"format":"mender","version":1}', "'version': 1"),
        (b'{"format":"other","version":3}', "'format': 'other'"),
        (b'{"format":"mender","version":3,"x":1}', "'x': 1"),
        (b'{"format":"mender" "version":3}', "expected , or }"),
        (b'{"format":"mender","version":3,"version":3}', "each key once"),
        (b" " * 1025, "at most 1024 bytes, got 1025"),
    )
    for version, expected in rows:
        message = refused(artifact(version=version))
        assert message and message.startswith("version: ") and expected in message, message
    message = refused(artifact(version=VERSION + b" ", manifest=members_of()[1][1]))
    assert "version: expected SHA-256" in message and "as in the manifest" in message


def test_the_manifest():
    line = b"a" * 64 + b"  data/0000/b.txt\n"
    rows = (
        (lambda m: m[1:], "64 hex digits, two spaces"),
        (lambda m: m.replace(b"header.tar", b"header.tar.g\r\0z"), "64 hex digits, two spaces"),
        (lambda m: b"a" + m, "64 hex digits"),
        (lambda m: m.replace(b"  version", b" version"), "64 hex digits"),
        (lambda m: m.replace(b"  version", b"   version"), "64 hex digits"),
        (lambda m: m.replace(b"  version", b"\t version"), "64 hex digits"),
        (lambda m: m.replace(b"version", b""), "and a name"),
        (lambda m: m.replace(b"\n", b" "), "a newline at its end"),
        (lambda m: m[:-1], "a newline at its end, got none"),
        (lambda m: m.replace(b"\n", b"\n\n"), "64 hex digits"),
        (lambda m: m.replace(b"\n", b"\r\n"), "64 hex digits, two spaces"),
        (lambda m: b"A" * 64 + m[64:], "64 hex digits"),
        (lambda m: b"g" * 64 + m[64:], "64 hex digits"),
        (lambda m: m + m, "each name once"),
        (lambda m: m[: m.find(b"version") - 66], "version and header.tar"),
        (lambda m: m.replace(b"header.tar", b"data/0000/h"), "version and header.tar"),
        (lambda m: m + m.split(b"\n")[1] + b".gz\n", "one header"),
        (lambda m: m + line.replace(b"0000", b"0001"), "data/0000/NAME"),
        (lambda m: m + line.replace(b"0000", b"000"), "data/0000/NAME"),
        (lambda m: m + line.replace(b"b.txt", b"b/c"), "letters, digits and .,_-"),
        (lambda m: m + line.replace(b"b.txt", b".."), "letters, digits and .,_-"),
        (lambda m: m + line.replace(b"b.txt", b""), "letters, digits and .,_-"),
        (lambda m: m + line.replace(b"b.txt", b"\xff"), "in UTF-8"),
        (lambda m: m + line, "every file of the manifest, got no ['b.txt']"),
        (lambda m: m + bytes(16385), "at most 16384 bytes"),
        (
            lambda m: m.replace(b"header.tar", b"header.tar.gz"),
            "header.tar.gz, as in the manifest",
        ),
    )
    for edit, expected in rows:
        message = refused(with_manifest(edit))
        assert message and expected in message, (expected, message)


def test_the_header_tar():
    info, type_info = ("header-info", b"{}"), ("headers/0000/type-info", b"{}")
    meta = ("headers/0000/meta-data", b"")
    rows = (
        (tar(type_info, info), "expected header-info, got 'headers/0000/type-info'"),
        (tar(), "expected header-info, got its end"),
        (tar(info), "headers/0000/type-info, got its end"),
        (tar(info, meta, type_info), "type-info, got 'headers/0000/meta-data'"),
        (tar(info, type_info, type_info), "meta-data, got 'headers/0000/type-info'"),
        (tar(info, type_info, meta, meta), "its end, got 'headers/0000/meta-data'"),
        (tar(info, info), "type-info, got 'header-info'"),
        (tar(info, ("headers/0001/type-info", b"")), "got 'headers/0001/type-info'"),
        (tar(info, type_info, ("other", b"")), "got 'other'"),
        (tar(info, ("scripts/x", b"")), "scripts/STATE_"),
        (tar(info, ("scripts/../ArtifactInstall_Enter_00", b"")), "scripts/STATE_"),
        (tar(info, ("scripts/ArtifactInstall_Enter_0", b"")), "scripts/STATE_"),
        (tar(info, ("scripts/ArtifactInstall_Enter_00/x", b"")), "scripts/STATE_"),
        (tar(info, ("scripts/ArtifactCommit_Leave_07_why", b"")), "no state scripts"),
        (tar(info, ("headers/0000/type-info", bytes(8193))), "at most 8192 bytes"),
        (member("header-info", kind="2") + END, "got 'header-info', type 2"),
        (END[:-1], "mid-archive"),
        (bytes(16385), "header.tar: expected at most 16384 bytes"),
    )
    for header, expected in rows:
        message = refused(artifact(header=header))
        assert message and expected in message, (expected, message)


def test_the_headers_sum_covers_it_as_stored():
    for packed in (False, True):
        version, manifest, (name, header), data = members_of(packed=packed)
        other = header_tar(info=changed(INFO, "artifact_provides", {"artifact_name": "v3"}))
        other = gzip(other) if packed else other
        message = refused(tar(version, manifest, (name, other), data))
        assert message.startswith(name + ": expected SHA-256 " + digest(header)), message
    # The same content in other gzip blocks is another header.
    version, manifest, (name, header), data = members_of(packed=True)
    other = gzip(header_tar(), 100)
    assert "expected SHA-256" in refused(tar(version, manifest, (name, other), data))


def test_a_header_cannot_unpack_to_more_than_its_limit():
    # A megabyte of zeros as a state script, in a kilobyte of gzip.
    bomb = vector("bomb_header.tar.gz")
    message = refused(artifact(packed=True, header=bomb), ignore_scripts=True)
    assert message == "header.tar.gz: expected at most 65536 bytes of content, got more"


def test_header_info():
    def info(key, value):
        return changed(INFO, key, value)

    depends = {"device_type": ["esp32"]}
    rows = (
        (b"[]", "a JSON object, got list"),
        (b"{", "expected a key"),
        (changed(INFO, "more", 1), "got ['more']"),
        (without(INFO, "payloads"), "a list as 'payloads'"),
        (info("payloads", []), "one payload, got []"),
        (info("payloads", [{"type": "a"}, {"type": "b"}]), "one payload"),
        (info("payloads", ["thing"]), "one payload"),
        (info("payloads", [{}]), "payload type: expected a string"),
        (info("payloads", [{"type": ""}]), "payload type: expected a string"),
        (info("payloads", [{"type": 1}]), "payload type: expected a string"),
        (info("payloads", [{"type": "other"}]), "type-info: expected type 'other', got 'thing'"),
        (without(INFO, "artifact_provides"), "a dict as 'artifact_provides'"),
        (info("artifact_provides", {}), "an artifact_name in artifact_provides"),
        (info("artifact_provides", {"artifact_name": 1}), "artifact_name: expected a string"),
        (info("artifact_provides", {"artifact_name": ""}), "artifact_name: expected a string"),
        (info("artifact_provides", {"artifact_name": "n" * 257}), "1 to 256 bytes"),
        (info("artifact_provides", {"artifact_name": "\n"}), "a printable string"),
        (info("artifact_provides", {"artifact_name": "a", "b": "c"}), "got ['b']"),
        (without(INFO, "artifact_depends"), "a dict as 'artifact_depends'"),
        (info("artifact_depends", {}), "a device_type in artifact_depends"),
        (info("artifact_depends", {"device_type": []}), "a device_type in artifact_depends"),
        (info("artifact_depends", {"device_type": "esp32"}), "a list as 'device_type'"),
        (info("artifact_depends", {"device_type": [1]}), "device_type: expected a string"),
        (info("artifact_depends", changed(depends, "artifact_group", "g")), "a list as"),
        (info("artifact_depends", changed(depends, "more", ["g"])), "got ['more']"),
    )
    for value, expected in rows:
        message = refused(artifact(info=value))
        assert message and expected in message, (expected, message)


def test_type_info_and_meta_data():
    def detail(key, value):
        return artifact(type_info=changed(TYPE_INFO, key, value))

    null = changed(INFO, "payloads", [{"type": None}])
    rows = (
        (artifact(type_info=b"x"), "type-info: expected a value"),
        (artifact(type_info={}), "type-info: expected type 'thing'"),
        (detail("type", "other"), "expected type 'thing', got 'other'"),
        (detail("type", None), "expected type 'thing', got None"),
        (detail("more", 1), "got ['more']"),
        (detail("artifact_provides", []), "a dict as 'artifact_provides'"),
        (detail("artifact_provides", {"a": 1}), "a: expected a string"),
        (detail("artifact_provides", {"artifact_name": "v3"}), "artifact_name' 'v2', got 'v3'"),
        (detail("artifact_depends", {"a": 1}), "a list as 'a'"),
        (detail("artifact_depends", {"a": [1]}), "a: expected a string"),
        (detail("artifact_depends", {"a": []}), "can be met"),
        (detail("clears_artifact_provides", "x"), "a list as 'clears_artifact_provides'"),
        (detail("clears_artifact_provides", [1]), "expected a string"),
        (artifact(meta=b"x"), "meta-data: expected a value"),
        (artifact(meta=b"[]"), "meta-data: expected a JSON object"),
        (artifact(meta=b'{"a":' + b"[" * 9 + b"]" * 9 + b"}"), "512 values, 8 deep"),
        (artifact(meta=b'{"a":[' + b"1," * 600 + b"1]}"), "512 values, 8 deep"),
        (artifact(info=null, type_info={"type": ""}, files=()), "expected type None, got ''"),
        (artifact(info=null, type_info={"type": None}), "in an empty payload"),
        (artifact(info=null, type_info={"type": None}, files=(), meta={}), "in an empty payload"),
        (artifact(packed=True, meta={"a": 1})[:-1024], "mid-archive"),
    )
    for data, expected in rows:
        message = refused(data)
        assert message and expected in message, (expected, message)


def test_the_empty_payload_needs_no_container():
    parts = {
        "info": changed(INFO, "payloads", [{"type": None}]),
        "type_info": {"type": None},
        "files": (),
    }
    for members in (members_of(**parts), members_of(**parts)[:-1]):
        assert Reading(tar(*members)).header.payload_type is None


def test_the_payload():
    name = "a.txt"

    def data(raw):
        return artifact(data=raw)

    good = member(name, b"hello\n")
    rows = (
        (data(tar(("b.txt", b""))), "a file of the manifest, and once, got 'b.txt'"),
        (data(tar(("./a.txt", b"hello\n"))), "got './a.txt'"),
        (data(good + good + END), "a file of the manifest, and once, got 'a.txt'"),
        (data(END), "every file of the manifest, got no ['a.txt']"),
        (data(member(name, b"hello") + END), "data/0000/a.txt: expected SHA-256"),
        (data(member(name, kind="5") + END), "plain files, got 'a.txt' of type '5'"),
        (data(member(name, kind="2") + END), "plain files, got 'a.txt' of type '2'"),
        (data(good), "data/0000.tar: expected more data"),
        (data(good + END + b"x"), "nothing but zeros"),
        (data(tar_header(name, 7) + b"hello\n" + END), "expected SHA-256"),
    )
    for raw, expected in rows:
        message = refused(raw)
        assert message and expected in message, (expected, message)


def test_a_packed_payload_ends_with_its_gzip_member():
    parts = members_of(packed=True)
    name, good = parts[-1]
    assert Reading(tar(*parts)).header
    for bad, expected in (
        (good + b"\0", "after the end of the stream"),
        (good + good, "after the end of the stream"),
        (good[:-1], "in mid-stream"),
        (good[:-8] + bytes(8), "damaged"),
        (tar(("a.txt", b"hello\n")), "damaged, or not gzip"),
        (gzip(tar(("a.txt", b"hello\n")) + b"x"), "nothing but zeros"),
    ):
        message = refused(tar(*parts[:-1], (name, bad)))
        assert message and expected in message, (expected, message)


def test_max_payload_bounds_what_a_gzip_unpacks_to():
    files = (("big", bytes(20000)),)
    data = artifact(packed=True, files=files)
    size = len(tar(*files))
    assert Reading(data, max_payload=size).header
    assert f"at most {size - 1} bytes" in refused(data, max_payload=size - 1)


def test_messages_stay_short():
    name = "n" * 250
    manifest = members_of()[1][1] + b"x" * 16000 + b"\n"
    assert len(refused(artifact(manifest=manifest))) < 300
    assert len(refused(artifact(data=tar((name[:99], b""))))) < 300
    assert len(refused(artifact(info=changed(INFO, "k" * 7000, 1)))) < 300
