# Certificates and keys as an answer brings them: PEM or base64 of DER, and whatever else is sent.
import binascii

from instar.certificates import artifact_keys, authorities, pair
from instar.crypto.pem import from_pem
from instar.errors import Rejected

FOLDER = "tests/vectors/magistrala-certs/"
PUBLIC = "tests/vectors/public/"
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def text(path):
    with open(path) as file:
        return file.read()


def pem(name):
    return text(FOLDER + name)


def der(name):
    return from_pem(pem(name).encode())[0][1]


def base64(data):
    return binascii.b2a_base64(data).decode()


def refused(function, *args):
    try:
        function(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError(f"accepted: {args}")


def one(given):
    return authorities([("ca 1", given)])


def test_ca_in_every_form():
    ca = der("ca.pem")
    plain = base64(ca)
    lines = "\r\n".join([plain[i : i + 76] for i in range(0, len(plain), 76)])
    dump = "Certificate:\n    Data: CN=instar CA\n" + pem("ca.pem")
    for given in (pem("ca.pem"), plain, plain.strip(), lines, dump, pem("ca.pem").strip()):
        assert one(given) == [ca], given


def test_several_in_one_text_and_the_same_one_twice():
    both = pem("ca.pem") + "\n" + pem("ca-rsa.pem")
    found = authorities([("ca_cert", both), ("ca 1", pem("ca.pem"))])
    assert found == [der("ca.pem"), der("ca-rsa.pem")]
    assert authorities([]) == []


def test_what_is_no_certificate_is_named_with_its_reason():
    ca = der("ca.pem")
    rows = (
        ("", "ca 1: expected PEM or base64 of DER, no path, got something else"),
        ("/.instar/identity-key", "no path, got something else"),
        ("../ca.der", "no path, got something else"),
        ("/flash/ca", "ca 1"),  # these are letters of base64, too
        (base64(ca)[:-9], "expected"),
        (base64(ca[:-1]), "expected"),
        (base64(ca + b"\0"), "expected the end"),
        (base64(b"\x30\x03abc"), "expected DER that TLS takes"),
        (base64(b"hello, world"), "expected SEQUENCE"),
        (base64(der("client-key.pem")), "expected DER that TLS takes"),
        (base64(b"\x30\x82\x13\x88" + b"\0" * 5000), "at most 4096 bytes of DER, got 5004"),
        (pem("client-key.pem"), "expected PEM of CERTIFICATE, got PRIVATE KEY"),
        (pem("ca.pem").replace("CERTIFICATE", "CERTIFICATE REQUEST"), "got CERTIFICATE REQUEST"),
        (pem("ca.pem").replace("END", "AND"), "expected '-----END CERTIFICATE-----'"),
        (pem("ca.pem")[:-40], "expected '-----END CERTIFICATE-----'"),
        (pem("ca.pem").replace("M", "*"), "expected base64 in CERTIFICATE"),
        (["ca"], "expected PEM or base64 of DER, got list"),
        (None, "got NoneType"),
        (5, "got int"),
    )
    for given, expected in rows:
        message = refused(one, given)
        assert "ca 1" in message and expected in message, (given, message)


def test_a_certificate_cut_or_changed_anywhere_is_refused_or_another():
    ca = der("ca.pem")
    for cut in range(len(ca)):
        refused(one, base64(ca[:cut]))
    for at in range(0, len(ca), 3):
        changed = bytearray(ca)
        changed[at] ^= 0x81
        try:
            assert one(base64(changed)) == [bytes(changed)]
        except Rejected:
            pass


def test_no_more_than_eight():
    # Their signatures are not looked at: another last byte is another certificate.
    ca = bytearray(der("ca.pem"))
    texts = []
    for number in range(9):
        ca[-1] = number
        texts.append((f"ca {number}", base64(ca)))
    assert len(authorities(texts[:8])) == 8
    assert "CA certificates: expected at most 8, got 9" in refused(authorities, texts)


def test_pairs_that_belong_together():
    for name in ("client", "client-rsa", "client-p384"):
        cert, key = f"{name}.pem", f"{name}-key.pem"
        expected = (der(cert), der(key))
        assert pair(pem(cert), pem(key)) == expected
        assert pair(base64(der(cert)), base64(der(key))) == expected
    sec1 = pem("client-key-sec1.pem")
    expected = (der("client.pem"), der("client-key-sec1.pem"))
    assert pair(pem("client.pem"), PARAMETERS + sec1) == expected


def test_of_a_chain_the_first_is_the_clients_own():
    cert, _ = pair(pem("client.pem") + pem("ca.pem"), pem("client-key.pem"))
    assert cert == der("client.pem")


def test_pairs_that_do_not():
    cert, key = pem("client.pem"), pem("client-key.pem")
    encrypted = text("tests/vectors/keys/refused/encrypted-pkcs8.pem")
    traditional = text("tests/vectors/keys/refused/p256-encrypted-traditional.pem")
    rows = (
        (cert, "", "client_cert: expected a client_key too, got none"),
        ("", key, "client_key: expected a client_cert too, got none"),
        (key, cert, "client_cert: expected PEM of CERTIFICATE, got PRIVATE KEY"),
        (cert, cert, "client_key: expected PEM of PRIVATE KEY or EC PRIVATE KEY or RSA"),
        (cert, base64(der("client.pem")), "client_key: expected DER that TLS takes"),
        (
            cert,
            pem("client-rsa-key.pem"),
            "expected the key of client_cert, got another's",
        ),
        (pem("client-rsa.pem"), key, "client_key: expected the key of client_cert, got another"),
        (pem("ca.pem"), key, "client_key: expected the key of client_cert, got another's"),
        (
            cert,
            pem("client-p384-key.pem"),
            "client_key: expected the key of client_cert, got",
        ),
        (cert, PARAMETERS, "client_key: expected PEM of PRIVATE KEY or EC PRIVATE KEY or RSA"),
        (cert, encrypted, "got ENCRYPTED PRIVATE KEY"),
        (cert, traditional, "client_key: expected"),
        (cert, base64(der("client-key.pem")[:-1]), "client_key: expected"),
        (cert, base64(der("client-key.pem") + b"\0"), "client_key: expected the end"),
        ("/client.der", "/.instar/identity-key", "client_cert: expected PEM or base64 of DER, no"),
        (cert, "/.instar/identity-key", "client_key: expected PEM or base64 of DER, no path"),
        (["x"], key, "client_cert: expected PEM or base64 of DER, got list"),
        (cert, {"key": "x"}, "client_key: expected PEM or base64 of DER, got dict"),
    )
    for given_cert, given_key, expected in rows:
        message = refused(pair, given_cert, given_key)
        assert expected in message, (expected, message)


def test_a_private_key_is_not_in_the_message():
    body = pem("client-key.pem").split("\n")[1]
    rows = (
        pem("client-key.pem").replace("-----END", "----END"),
        pem("client-key.pem").replace("PRIVATE KEY", "SECRET"),
        pem("client-key.pem").replace("M", "*"),
        body,
        body + "!",
        pem("client-key.pem").replace("KEY-----\n", "KEY\n"),
    )
    for given in rows:
        message = refused(pair, pem("client.pem"), given)
        for part in (body[:8], body[20:28], body[-8:]):
            assert part not in message, message


def test_keys_for_artifacts():
    given = [("key 1", text(PUBLIC + "p256.pem")), ("key 2", text(PUBLIC + "rsa2048-pkcs1.pem"))]
    given.append(("key 3", base64(from_pem(text(PUBLIC + "rsa2048.pem").encode())[0][1])))
    from instar.artifact.signature import Verifier

    found = artifact_keys(given)
    assert len(found) == 3 and Verifier(found)


def test_what_is_no_key_for_artifacts():
    rows = (
        (pem("client-key.pem"), "key 1: expected PEM of PUBLIC KEY or RSA PUBLIC KEY, got PRIV"),
        (base64(der("client-key.pem")), "key 1: expected a public key"),
        (base64(der("ca.pem")), "key 1: expected a public key"),
        (text(PUBLIC + "refused/p384.pem"), "key 1: expected a public key"),
        (text(PUBLIC + "refused/ed25519.pem"), "got public key: expected RSA or P-256"),
        ("/keys/artifact.pem", "no path"),
        (None, "got NoneType"),
    )
    for given, expected in rows:
        message = refused(artifact_keys, [("key 1", given)])
        assert expected in message, message
