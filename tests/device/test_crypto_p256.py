import hashlib

from instar.crypto import p256
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

# Multiples of the base point: k, x, y.
MULTIPLES = (
    (
        1,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    (
        2,
        0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
        0x07775510DB8ED040293D9AC69F7430DBBA7DADE63CE982299E04B79D227873D1,
    ),
    (
        3,
        0x5ECBE4D1A6330A44C8F7EF951D4BF165E6C6B721EFADA985FB41661BC6E7FD6C,
        0x8734640C4998FF7E374B06CE1A64A2ECD82AB036384FB83D9A79B127A27D5032,
    ),
    (
        112233445566778899,
        0x339150844EC15234807FE862A86BE77977DBFB3AE3D96F4C22795513AEAAB82F,
        0xB1C14DDFDC8EC1B2583F51E85A5EB3A155840F2034730E9B5ADA38B674336A21,
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
    assert run(p256.public(D)) == POINT


def test_rfc_6979_nonces_and_signatures():
    for message, k, r, s in SIGNATURES:
        digest = hashlib.sha256(message).digest()
        assert next(p256.nonces(D, digest)) == k
        assert run(p256.sign(D, digest)) == (r, s)


def test_nonces_go_on_and_stay_in_range():
    digest = hashlib.sha256(b"sample").digest()
    candidates = p256.nonces(D, digest)
    seen = [next(candidates) for _ in range(5)]
    assert all(1 <= k < p256.N for k in seen)
    assert len(set(seen)) == 5


def test_a_digest_above_the_order_is_reduced():
    high = b"\xff" * 32
    low = ((1 << 256) - 1 - p256.N).to_bytes(32, "big")
    assert next(p256.nonces(D, high)) == next(p256.nonces(D, low))
    assert run(p256.sign(D, high)) == run(p256.sign(D, low))


def test_a_digest_of_another_size_is_refused():
    try:
        run(p256.sign(D, b"\0" * 20))
    except ValueError as error:
        assert "expected a digest of 32 bytes, got 20" in str(error)
    else:
        raise AssertionError("signed 20 bytes")


def test_multiples_of_the_base_point():
    for k, x, y in MULTIPLES:
        assert run(p256.public(k)) == (x, y), k
        # n - k is the same point mirrored.
        assert run(p256.public(p256.N - k)) == (x, p256.P - y), k


def test_edges_of_the_scalar():
    assert run(p256.multiply_base(0)) == (0, 0)
    assert run(p256.multiply_base(p256.N)) == (0, 0)
    assert run(p256.multiply_base(p256.N + 1)) == MULTIPLES[0][1:]
    for j in range(256):
        x, y = run(p256.multiply_base(1 << j))
        assert (y * y - x * x * x + 3 * x - B) % p256.P == 0, j


def test_the_comb_is_what_its_comment_says():
    points = p256.comb()
    assert len(points) == 16
    base = points[1]
    assert base == MULTIPLES[0][1:]
    for j in range(3):  # entry 2**j times 2**64
        point = points[1 << j] + (1,)
        for _ in range(64):
            point = p256.double(point)
        assert p256.to_affine(point) == points[2 << j]
    for i in range(3, 16):
        low = i & -i
        if low != i:
            total = p256.add(points[i ^ low] + (1,), points[low])
            assert p256.to_affine(total) == points[i], i


def test_addition_meets_its_special_cases():
    base = MULTIPLES[0][1:]
    mirrored = (base[0], p256.P - base[1])
    scaled = p256.double(base + (1,))
    assert p256.add(p256.INFINITY, base) == base + (1,)
    assert p256.double(p256.INFINITY) == p256.INFINITY
    assert p256.add(base + (1,), mirrored) == p256.INFINITY
    assert p256.to_affine(p256.add(base + (1,), base)) == MULTIPLES[1][1:]
    assert p256.to_affine(p256.add(scaled, base)) == MULTIPLES[2][1:]
    # The same, where the point that is added to is not in affine form.
    twice = p256.to_affine(scaled)
    assert p256.to_affine(p256.add(scaled, twice)) == run(p256.public(4))
    assert p256.add(scaled, (twice[0], p256.P - twice[1])) == p256.INFINITY


def test_inversion():
    for prime in (p256.P, p256.N):
        for value in (1, 2, D, prime - 1):
            assert value * p256.invert(value, prime) % prime == 1
        assert p256.invert(0, prime) == 0


def test_steps_are_many_and_do_not_depend_on_the_secret():
    digest = hashlib.sha256(b"sample").digest()
    for d in (1, 2, D, p256.N - 1):
        assert steps(p256.public(d))[0] == 64
        assert steps(p256.sign(d, digest))[0] == 66


def test_no_step_starts_from_infinity():
    starts = []
    add = p256.add
    p256.add = lambda point, affine: (starts.append(point[2]), add(point, affine))[1]
    for k in (1, 2, 1 << 128, p256.N - 1):
        run(p256.public(k))
    assert len(starts) == 4 * 64
    assert 0 not in starts


def test_a_step_leaves_little_garbage():
    import gc

    generator = p256.sign(D, hashlib.sha256(b"sample").digest())
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
    assert p256.generate(lambda n: draws.pop(0)[:n]) == p256.N - 1
    assert p256.generate(lambda n: draws.pop(0)[:n]) == 1
    assert draws == []


def test_generate_gives_up_on_a_dead_random_source():
    for byte in (b"\0", b"\xff"):
        try:
            d = p256.generate(lambda n, byte=byte: byte * n)
        except Broken as error:
            assert "expected a number in [1, n-1]" in str(error)
        else:
            raise AssertionError(f"made {d} of no randomness")
