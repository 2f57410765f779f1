import sys
from binascii import b2a_base64

from artifact_build import CHUNKINGS, artifact, chunks, members_of, rejection, tar, vector

from instar.artifact.reader import Reader
from instar.artifact.signature import Verifier
from instar.crypto import der
from instar.crypto.keys import load, run

KEYS = "tests/vectors/keys/"
PUBLIC = "tests/vectors/public/"
SIGNERS = {
    "p256.pem": "p256-sec1.pem",
    "rsa2048.pem": "rsa2048-pkcs1.pem",
    "rsa3072.pem": "rsa3072-pkcs1.pem",
    "rsa4096.pem": "rsa4096-pkcs1.pem",
}


def contents(name, folder=PUBLIC):
    with open(folder + name, "rb") as file:
        return file.read(8192)


def base64(raw):
    return b2a_base64(raw)[:-1]


def signature_by(name, manifest):
    return run(load(contents(SIGNERS[name], KEYS)).sign(manifest))


def signed_by(name, form=base64):
    """An Artifact signed with the private half of that public key."""
    members = members_of()
    return tar(
        *members[:2], ("manifest.sig", form(signature_by(name, members[1][1]))), *members[2:]
    )


class Sink:
    def __init__(self, *_):
        pass

    def write(self, view):
        pass

    def close(self):
        pass


class Reading:
    """One Artifact read with these keys: the header, the files that were opened, the steps."""

    def __init__(self, data, keys, size=0):
        self.headers = []
        self.files = []
        self.steps = 0
        reader = Reader(self.headers.append, self.open_file, verify=Verifier(keys))
        try:
            for view in chunks(data, size):
                for _ in reader.steps(view):
                    self.steps += 1
            reader.finish()
        finally:
            reader.close()

    def open_file(self, name, size):
        self.files.append(name)
        return Sink()


def refused(data, keys):
    """The message of the refusal; nobody heard of a header or a file."""
    called = []
    reader = Reader(called.append, lambda *args: called.append(args), verify=Verifier(keys))
    message = rejection(reader.feed, memoryview(data))
    assert called == [] and reader.header is None
    return message


def test_what_mender_artifact_signed_is_accepted():
    for name in ("rsa", "p256"):
        found = Reading(vector(f"module_{name}.mender"), [vector(f"{name}.pub.pem")])
        assert found.headers[0].signed is True and found.files == ["notes.txt"]


def test_each_kind_of_key_accepts_its_own_and_refuses_the_others():
    for name in SIGNERS:
        data = signed_by(name)
        assert len(Reading(data, [contents(name)]).headers) == 1
        for other in SIGNERS:
            if other != name:
                message = refused(data, [contents(other)])
                assert "a signature of this manifest by one of 1 key(s)" in message, (name, other)


def test_any_key_of_the_list_may_match_in_any_order():
    foreign = contents("p256.pub.pem", "tests/vectors/artifact/")
    names = list(SIGNERS)
    for name in names:
        data = signed_by(name)
        for at in range(len(names)):
            keys = [contents(other) for other in names[at:] + names[:at]]
            assert Reading(data, [foreign] + keys).files == ["a.txt"]
    for key in ("rsa2048.der", "rsa2048-pkcs1.pem", "rsa2048-pkcs1.der"):
        assert Reading(signed_by("rsa2048.pem"), [foreign, contents(key)]).headers
    assert "by one of 2 key(s)" in refused(data, [foreign, contents("rsa2048.pem")])


def test_raw_and_der_signatures_of_p256():
    def raw(signature):
        pair = der.Reader(signature).sequence()
        halves = pair.integer(), pair.integer()
        return base64(b"".join(half.to_bytes(32, "big") for half in halves))

    for form in (base64, raw):
        assert Reading(signed_by("p256.pem", form), [contents("p256.pem")]).files == ["a.txt"]


def test_every_chunking_gives_the_same_and_takes_the_same_steps():
    for name, steps in (("p256.pem", 258), ("rsa2048.pem", 17)):
        data = signed_by(name)
        for size in CHUNKINGS:
            found = Reading(data, [contents(name)], size)
            assert (found.steps, found.files) == (steps, ["a.txt"]), (name, size)


def test_an_unsigned_artifact_is_refused():
    keys = [contents("p256.pem")]
    expected = "manifest.sig: expected a signed Artifact, got one without a signature"
    assert refused(artifact(), keys) == expected
    # The signature has its place: after the manifest, before the header.
    version, manifest, header, data = members_of()
    sig = ("manifest.sig", base64(signature_by("p256.pem", manifest[1])))
    assert refused(tar(version, manifest, header, sig, data), keys) == expected
    assert "manifest as the next member" in refused(tar(version, sig, manifest, header), keys)


def test_what_is_not_base64():
    members = members_of()
    good = base64(signature_by("rsa2048.pem", members[1][1]))
    assert good[-1:] == b"="
    for bad in (
        b"",
        b"=",
        b"====",
        good + b"\n",
        b" " + good,
        good[:64] + b"\n" + good[64:],
        good.rstrip(b"="),
        good + b"=",
        good[:-1] + b"A",
        good[:-4],
        b"!" + good,
        good + b"\0",
        good + good,
        good[:-3] + bytes([good[-3] + 1]) + good[-2:],  # bits of the last character unused
        bytes(2048),
    ):
        message = refused(artifact(signature=bad), [contents("rsa2048.pem")])
        assert message.startswith("manifest.sig: expected "), (bad, message)
    # The alphabet of URLs is another one.
    other = good.replace(b"+", b"-").replace(b"/", b"_")
    assert other != good
    message = refused(artifact(signature=other), [contents("rsa2048.pem")])
    assert message == "manifest.sig: expected base64, padded and nothing else, got something else"
    assert "at most 2048 bytes" in refused(artifact(signature=bytes(2049)), [contents("p256.pem")])
    assert Reading(artifact(signature=good), [contents("rsa2048.pem")]).headers


def test_signatures_of_another_length():
    members = members_of()
    for name in ("p256.pem", "rsa2048.pem"):
        good = signature_by(name, members[1][1])
        for bad in (good[:-1], good + b"\0", b"\0" + good, good[:1], good + good):
            message = refused(artifact(signature=base64(bad)), [contents(name)])
            assert f"got another, of {len(bad)} bytes" in message, message


def test_an_altered_manifest_or_signature_is_refused_before_anything_is_looked_at():
    version, (_, manifest), *_ = members_of()
    for name in ("p256.pem", "rsa2048.pem"):
        keys = [contents(name)]
        signature = signature_by(name, manifest)
        for at in range(0, len(manifest), 5):
            altered = bytearray(manifest)
            altered[at] = 0x62 if manifest[at] == 0x61 else 0x61  # another hex digit
            members = (
                version,
                ("manifest", bytes(altered)),
                ("manifest.sig", base64(signature)),
                ("header.tar", b"not looked at"),
            )
            assert refused(tar(*members), keys), at
        for at in range(0, len(signature), 3):
            altered = bytearray(signature)
            altered[at] ^= 1 << (at & 7)
            members = (
                version,
                ("manifest", manifest),
                ("manifest.sig", base64(altered)),
                ("not looked at", b""),
            )
            assert "a signature of this manifest" in refused(tar(*members), keys), at


def test_the_signature_is_over_the_literal_bytes():
    # The same lines in another order are another manifest.
    members = members_of()
    lines = members[1][1].split(b"\n")[:-1]
    other = b"".join(line + b"\n" for line in reversed(lines))
    signature = base64(signature_by("p256.pem", members[1][1]))
    data = tar(members[0], ("manifest", other), ("manifest.sig", signature), *members[2:])
    assert "a signature of this manifest" in refused(data, [contents("p256.pem")])


def test_a_good_signature_does_not_make_a_bad_artifact_good():
    version, manifest, header, data = members_of()
    sig = ("manifest.sig", base64(signature_by("p256.pem", manifest[1])))
    keys = [contents("p256.pem")]
    assert "expected SHA-256" in refused(
        tar(version, manifest, sig, ("header.tar", b"x"), data), keys
    )
    assert "manifest.sig" in refused(tar(version, manifest, sig, sig, header, data), keys)


def test_keys_are_checked_before_anything_is_read():
    good = contents("p256.pem")
    for keys, expected in (
        ([], "verify keys: expected at least one, got none"),
        ([contents("refused/ed25519.pem")], "verify key 1: public key: expected RSA or P-256"),
        ([good, contents("refused/p384.pem")], "verify key 2: public key: expected curve P-256"),
        ([good, good, contents("p256-sec1.pem", KEYS)], "verify key 3: public key: expected one"),
        ([b""], "verify key 1: public key"),
        ([good, good[:-30]], "verify key 2: PEM"),
    ):
        message = rejection(Verifier, keys)
        assert message and message.startswith(expected), message


def test_the_crypto_modules_are_there_only_while_they_are_needed():
    def loaded():
        return [name for name in sys.modules if name.startswith("instar.crypto")]

    data = memoryview(signed_by("rsa2048.pem"))
    verifier = Verifier([contents("p256.pem"), contents("rsa2048.pem")])
    assert loaded() == []
    reader = Reader(lambda header: None, Sink, verify=verifier)
    for _ in reader.steps(data):
        # The key on P-256 knew by the length that it was not meant.
        assert "instar.crypto.rsa" in loaded()
    assert loaded() == []
    reader.finish()
    # Given up in mid-course:
    reader = Reader(lambda header: None, Sink, verify=verifier)
    for _ in reader.steps(data):
        break
    assert loaded() != []
    reader.close()
    assert loaded() == []


def test_a_verifier_serves_again():
    verifier = Verifier([contents("p256.pem")])
    members = members_of()
    signature = base64(signature_by("p256.pem", members[1][1]))
    for _ in range(2):
        run(verifier(members[1][1], signature))
        message = rejection(lambda: run(verifier(members[1][1] + b"x", signature)))
        assert "a signature of this manifest" in message
