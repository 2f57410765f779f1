from instar.crypto import p256
from instar.crypto.keys import run

D = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721

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


def test_multiples_of_the_base_point():
    for k, x, y in MULTIPLES:
        assert run(p256.multiply_base(k)) == (x, y), k
        # n - k is the same point mirrored.
        assert run(p256.multiply_base(p256.N - k)) == (x, p256.P - y), k


def test_edges_of_the_scalar():
    assert run(p256.multiply_base(0)) == (0, 0)
    assert run(p256.multiply_base(p256.N)) == (0, 0)
    assert run(p256.multiply_base(p256.N + 1)) == MULTIPLES[0][1:]
    for j in range(256):
        x, y = run(p256.multiply_base(1 << j))
        assert (y * y - x * x * x + 3 * x - B) % p256.P == 0, j
        assert p256.on_curve(x, y), j


def test_the_comb_is_what_its_comment_says():
    points = [None] + [p256.comb_point(index) for index in range(1, 16)]
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
    assert p256.to_affine(p256.add(scaled, twice)) == run(p256.multiply_base(4))
    assert p256.add(scaled, (twice[0], p256.P - twice[1])) == p256.INFINITY


def test_inversion():
    for prime in (p256.P, p256.N):
        for value in (1, 2, D, prime - 1):
            assert value * p256.invert(value, prime) % prime == 1
        assert p256.invert(0, prime) == 0


def test_no_step_starts_from_infinity():
    starts = []
    add = p256.add
    p256.add = lambda point, affine: (starts.append(point[2]), add(point, affine))[1]
    for k in (1, 2, 1 << 128, p256.N - 1):
        run(p256.multiply_base(k))
    assert len(starts) == 4 * 64
    assert 0 not in starts


def affine(generator):
    """The affine point that a generator of a Jacobian one comes to."""
    return p256.to_affine(run(generator))


def test_what_is_on_the_curve():
    x, y = MULTIPLES[1][1:]
    assert p256.on_curve(x, y) and p256.on_curve(x, p256.P - y)
    for bad in (
        (x, y ^ 1),
        (x + 1, y),
        (0, 0),
        (x + p256.P, y),
        (x, y + p256.P),
        (x, -y),
        (x - p256.P, y),
    ):
        assert not p256.on_curve(*bad), bad


def test_a_sum_of_two_multiples_is_what_its_parts_are():
    large = (1 << 256) - 1
    for q, u, v in (
        (D, 1, 1),
        (D, 0, 1),
        (D, 1, 0),
        (D, 0, D),
        (D, D, 0),
        (D, p256.N - 1, p256.N - 2),
        (D, large, large),
        (3, 0x10000000000000001, 0xF0F0),
        (1, 5, 6),  # the point is G
        (p256.N - 1, 6, 5),  # the point is -G
        (2, 1 << 64, 1 << 192),
        (1 << 64, 1, 1),  # the point is an entry of the comb
        (D, 1 << 255, 16),
    ):
        point = run(p256.multiply_base(q))
        expected = run(p256.multiply_base((u + v * q) % p256.N))
        assert affine(p256.multiply_sum(u, v, point)) == expected, (q, u, v)


def test_a_sum_that_comes_to_infinity():
    for q in (1, 2, 15, D, p256.N - 1):
        point = run(p256.multiply_base(q))
        for u, v in ((0, 0), (q, p256.N - 1), (p256.N, p256.N), (p256.N - q * 5 % p256.N, 5)):
            assert run(p256.multiply_sum(u, v, point))[2] == 0, (q, u, v)


def test_a_sum_passes_through_infinity_and_equal_points():
    # In mid-course: 16 * Q + (-16 * Q) by digits is 0, then a last digit; and each partial sum of
    # equal halves is a doubling in disguise.
    minus = run(p256.multiply_base(p256.N - 1))
    assert affine(p256.multiply_sum(3, 2, minus)) == MULTIPLES[0][1:]
    assert affine(p256.multiply_sum(32, 31, minus)) == MULTIPLES[0][1:]
    for u in range(18):
        expected = run(p256.multiply_base(2 * u))
        assert affine(p256.multiply_sum(u, u, MULTIPLES[0][1:])) == expected, u
