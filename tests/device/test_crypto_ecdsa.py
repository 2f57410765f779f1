import hashlib

from instar.crypto import ecdsa, p256
from instar.crypto.keys import run
from instar.errors import Broken

# RFC 6979 A.2.5
D = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
POINT = (
    0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
    0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
)
SIGNATURES = (  # message, k, r, s with SHA-256
    (
        b"sample",
        0xA6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60,
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        b"test",
        0xD16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0,
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
)
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def steps(generator):
    """(steps, value) of a generator."""
    count = 0
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return count, stop.value
        count += 1


def test_rfc_6979_public_point():
    assert run(ecdsa.public(D)) == POINT


def test_rfc_6979_nonces_and_signatures():
    for message, k, r, s in SIGNATURES:
        digest = hashlib.sha256(message).digest()
        assert next(ecdsa.nonces(D, digest)) == k
        assert run(ecdsa.sign(D, digest)) == (r, s)


def test_nonces_go_on_and_stay_in_range():
    digest = hashlib.sha256(b"sample").digest()
    candidates = ecdsa.nonces(D, digest)
    seen = [next(candidates) for _ in range(5)]
    assert all(1 <= k < p256.N for k in seen)
    assert len(set(seen)) == 5


def test_a_digest_above_the_order_is_reduced():
    high = b"\xff" * 32
    low = ((1 << 256) - 1 - p256.N).to_bytes(32, "big")
    assert next(ecdsa.nonces(D, high)) == next(ecdsa.nonces(D, low))
    assert run(ecdsa.sign(D, high)) == run(ecdsa.sign(D, low))


def test_a_digest_of_another_size_is_refused():
    try:
        run(ecdsa.sign(D, b"\0" * 20))
    except ValueError as error:
        assert "expected a digest of 32 bytes, got 20" in str(error)
    else:
        raise AssertionError("signed 20 bytes")


def test_steps_are_many_and_do_not_depend_on_the_secret():
    digest = hashlib.sha256(b"sample").digest()
    for d in (1, 2, D, p256.N - 1):
        assert steps(ecdsa.public(d))[0] == 64
        assert steps(ecdsa.sign(d, digest))[0] == 66


def test_a_step_leaves_little_garbage():
    import gc

    generator = ecdsa.sign(D, hashlib.sha256(b"sample").digest())
    next(generator)
    gc.collect()
    gc.disable()
    for _ in range(60):
        before = gc.mem_alloc()
        next(generator)
        assert gc.mem_alloc() - before < 12000


def test_generate_takes_what_is_in_range_and_draws_again_otherwise():
    order = p256.N.to_bytes(32, "big")
    draws = [b"\0" * 32, b"\xff" * 32, order, (p256.N - 1).to_bytes(32, "big"), b"\0" * 31 + b"\1"]
    assert ecdsa.generate(lambda n: draws.pop(0)[:n]) == p256.N - 1
    assert ecdsa.generate(lambda n: draws.pop(0)[:n]) == 1
    assert draws == []


def test_generate_gives_up_on_a_dead_random_source():
    for byte in (b"\0", b"\xff"):
        try:
            d = ecdsa.generate(lambda n, byte=byte: byte * n)
        except Broken as error:
            assert "expected a number in [1, n-1]" in str(error)
        else:
            raise AssertionError(f"made {d} of no randomness")


# Verifying


def verified(point, digest, r, s):
    return run(ecdsa.verify(point, digest, r, s))


def number(value):
    return value.to_bytes(32, "big")


def signature_of(d, k, e):
    """(r, s) by the definition, for any number e in place of a digest."""
    r = run(p256.multiply_base(k))[0] % p256.N
    return r, p256.invert(k, p256.N) * (e + r * d) % p256.N


def key_that_opens(x, r, s, e):
    """A public key under which (r, s, e) leads to a point of this x: no private key is known."""
    root = pow(x * x * x - 3 * x + B, (p256.P + 1) // 4, p256.P)
    inverse = p256.invert(r, p256.N)
    return p256.to_affine(
        run(p256.multiply_sum((p256.N - e) * inverse % p256.N, s * inverse % p256.N, (x, root)))
    )


def x_of_a_point(first):
    """The first x from `first` on that a point of the curve has."""
    while pow(first * first * first - 3 * first + B, (p256.P - 1) // 2, p256.P) != 1:
        first += 1
    return first


def test_the_signatures_of_rfc_6979_verify():
    for message, _, r, s in SIGNATURES:
        assert verified(POINT, hashlib.sha256(message).digest(), r, s)
        assert not verified(POINT, hashlib.sha256(message + b"x").digest(), r, s)


def test_what_was_signed_verifies_and_what_was_altered_does_not():
    for i in range(8):
        d = (D * (i + 1) + i) % p256.N
        point = run(ecdsa.public(d))
        digest = hashlib.sha256(bytes([i])).digest()
        r, s = run(ecdsa.sign(d, digest))
        assert verified(point, digest, r, s) is True
        # The mirrored s is a signature too: ECDSA does not tell them apart.
        assert verified(point, digest, r, p256.N - s)
        for other in ((r ^ 1, s), (r, s ^ 1), (s, r), (r, r), (p256.N - r, s)):
            assert verified(point, digest, *other) is False, other
        assert not verified((point[0], p256.P - point[1]), digest, r, s)
        assert not verified(POINT if i else run(ecdsa.public(5)), digest, r, s)


def test_r_and_s_out_of_range():
    digest = hashlib.sha256(b"sample").digest()
    _, _, r, s = SIGNATURES[0]
    n = p256.N
    for bad in (
        (0, s),
        (r, 0),
        (0, 0),
        (n, s),
        (r, n),
        (r + n, s),  # equal modulo n, but not the same signature
        (r, s + n),
        (-r, s),
        (r, -s),
        (r - n, s),
        (r, s - n),
        (p256.P, s),
        (1 << 256, s),
    ):
        assert steps(ecdsa.verify(POINT, digest, *bad)) == (0, False), bad


def test_digests_at_the_edges():
    # e = 0 and e = n leave nothing of G, e = n + 1 is reduced, e = 2**256 - 1 as well.
    for e in (0, 1, p256.N - 1, p256.N, p256.N + 1, (1 << 256) - 1):
        r, s = signature_of(D, 12345, e)
        assert verified(POINT, number(e), r, s), e
        assert not verified(POINT, number(e ^ 1), r, s), e


def test_keys_that_are_the_base_point_or_its_mirror():
    digest = hashlib.sha256(b"sample").digest()
    for d in (1, 2, p256.N - 1):
        point = run(ecdsa.public(d))
        r, s = run(ecdsa.sign(d, digest))
        assert verified(point, digest, r, s)
        assert not verified(point, digest, s, r)


def test_a_signature_that_leads_to_infinity_is_refused():
    # u1 * G + u2 * Q = (e + r * d) / s * G: nothing for e = -r * d, G / s for one more.
    s = 7
    r = run(p256.multiply_base(p256.invert(s, p256.N)))[0] % p256.N
    for d in (1, 2, D, p256.N - 1):
        point = run(ecdsa.public(d))
        e = (p256.N - r * d % p256.N) % p256.N
        assert not verified(point, number(e), r, s)
        assert verified(point, number(e + 1), r, s)


def test_both_factors_are_the_same():
    # With e = r: whatever the key, u1 = u2.
    k = 987654321
    r = run(p256.multiply_base(k))[0] % p256.N
    for d in (1, 2, 3, D):
        assert verified(run(ecdsa.public(d)), number(r), *signature_of(d, k, r))


def test_an_x_above_the_order():
    # x in [n, p) is one point in 2**128: only a key that is made for it shows the case.
    x = x_of_a_point(p256.N + 1)
    r, s, e = x - p256.N, 0x1234567, 0x89ABCDEF
    point = key_that_opens(x, r, s, e)
    assert p256.on_curve(*point)
    assert verified(point, number(e), r, s)
    assert not verified(point, number(e), x, s)  # the same, unreduced


def test_an_r_that_fits_only_modulo_p_is_refused():
    # r + n = x + p: a comparison modulo p alone would take it for x.
    x = x_of_a_point(1)
    r, s, e = x + p256.P - p256.N, 0x1234567, 0x89ABCDEF
    assert 0 < r < p256.N
    assert not verified(key_that_opens(x, r, s, e), number(e), r, s)
    # The key is made right: with the true r it opens.
    assert verified(key_that_opens(x, x, s, e), number(e), x, s)


def test_verifying_goes_in_steps_that_leave_little_garbage():
    import gc

    digest = hashlib.sha256(b"sample").digest()
    _, _, r, s = SIGNATURES[0]
    # 256 digits, 14 multiples of the key, their inversion in two, and that of s.
    assert steps(ecdsa.verify(POINT, digest, r, s)) == (258, True)
    generator = ecdsa.verify(POINT, digest, r, s)
    gc.disable()
    for _ in range(258):
        gc.collect()
        before = gc.mem_alloc()
        next(generator)
        assert gc.mem_alloc() - before < 24000


def test_a_digest_of_another_size_is_an_error_when_verifying():
    try:
        verified(POINT, b"\0" * 31, 1, 1)
    except ValueError as error:
        assert "expected a digest of 32 bytes, got 31" in str(error)
    else:
        raise AssertionError("verified 31 bytes")
