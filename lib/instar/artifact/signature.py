# Verifies that an Artifact's manifest was signed by somebody whose public key the board has.
#
#   verifier = Verifier([pem_or_der, ...])       # bytes; a key that cannot be used is Rejected now
#   reader = Reader(on_header, open_file, verify=verifier)
#
# RSA of 2048 to 4096 bits (PKCS#1 v1.5) and ECDSA on P-256, both with SHA-256 over the literal
# bytes of the manifest. Any key of the list may match, so that keys can be changed over.
#
# The code of instar.crypto is in the heap only while it is needed.
# SPDX-License-Identifier: MIT

import hashlib
from binascii import a2b_base64, b2a_base64

from .. import memory
from ..errors import Rejected
from .refusal import refused


class Verifier:
    """What a Reader takes as `verify`. keys: a list of public keys, PEM or DER, as bytes.

    Rejected if the list is empty or one of its keys cannot be used: nothing is downloaded then.
    """

    def __init__(self, keys):
        if not keys:
            raise refused("verify keys", "at least one", "none")
        self._keys = keys
        try:
            for position, key in enumerate(keys, 1):
                _check(position, key)
        finally:
            memory.forget("instar.crypto")

    def __call__(self, manifest, signature):
        """Generator of bounded steps. manifest: its bytes; signature: those of manifest.sig.

        Rejected if signature is None, is not standard base64 (padded, nothing else in it), or was
        made by none of the keys over exactly this manifest.
        """
        if signature is None:
            raise refused("manifest.sig", "a signed Artifact", "one without a signature")
        raw = _decoded(signature)
        digest = hashlib.sha256(manifest).digest()
        try:
            good = yield from self._any(digest, raw)
        finally:
            # The frames that used it are gone.
            memory.forget("instar.crypto")
        if not good:
            wanted = f"a signature of this manifest by one of {len(self._keys)} key(s)"
            raise refused("manifest.sig", wanted, f"another, of {len(raw)} bytes")

    def _any(self, digest, raw):
        from ..crypto.public import load

        for key in self._keys:
            if (yield from load(key).verify(digest, raw)):
                return True
        return False


def _check(position, key):
    from ..crypto.public import load

    try:
        load(key)
    except Rejected as error:
        raise Rejected(f"verify key {position}: {error}")


def _decoded(signature):
    try:
        raw = a2b_base64(signature)
    except ValueError:
        raw = b""
    # a2b_base64 skips what it does not know: only what encodes back to the same is base64.
    if not raw or b2a_base64(raw)[:-1] != signature:
        raise refused("manifest.sig", "base64, padded and nothing else", "something else")
    return raw
