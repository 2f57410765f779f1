# The curve P-256 (secp256r1) over Python ints: what ecdsa.py signs and verifies with.
#
#   x, y = run(multiply_base(k))                # keys.run, or a loop of next() and await
#   total = run(multiply_sum(u, v, (x, y)))     # u * G + v * (x, y)
#
# Multiplications are generators of bounded steps: a step is one doubling and at most two
# additions, or one inversion, so the event loop and the watchdog go on between two of them.
#
# Limits: multiply_base() does the same steps for every k, but Python's ints are not
# constant-time. multiply_sum() is for public numbers only: its steps show them.
# SPDX-License-Identifier: MIT

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

# Jacobian coordinates: (X, Y, Z) is the point (X / Z**2, Y / Z**3), and Z = 0 the point at
# infinity, which double() maps to itself. An affine point is (x, y).
INFINITY = (1, 1, 0)

# The comb: entry i, for i = 1..15, is the sum of 2**(64 * j) * G over the bits j set in i, as x
# and y in hexadecimal. Entry 1 is G. A multiple of G then takes 64 doublings instead of 256.
_COMB = (
    b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    b"0fa822bc2811aaa58492592e326e25de29493baaad651f7e90e75cb48e14db63"
    b"bff44ae8f5dba80d6f4ad4bcb3df188b34b1a65050fe82f5e41124545f462ee7"
    b"300a4bbc89d6726fb257c0de95e02789e96c98fd0d35f1fa93391ce2097992af"
    b"72aac7e0d09b46447f1ddb25ff1e3c6f5bb1eeada9d806a5aa54a291c08127a0"
    b"447d739beedb5e67fb982fd588c6766efc35ff7dc297eac357c84fc9d789bd85"
    b"2d4825ab834131eee12e9d953a4aaff73d349b95a7fae5000c7e33c972e25b32"
    b"ef9519328a9c72ffddc6068bb91dfc60ef7fbd2b1a0a11b713949c932a1d367f"
    b"611e9fc37dbb2c9bc1ee9807022c219c23183b0895ca1740196035a77376d8a8"
    b"550663797b51f5d87dea6482e11238bf2936df5ec6c9bc36cae2b1920b57f4bc"
    b"157164848aecb8510afa40018d9d50e59fb3d576dbdefbe144ffe216348a964c"
    b"eb5d7745b21141eaa2e8f483f43e43917ccd84e70d715f26e48ecafffc5cde01"
    b"eafd72ebdbecc17b0990e6a158006cee85f22cfe2844b645cac917e2731a3479"
    b"a6d39677a78492762736ff8344315fc596439591a3c6b94a6cf20ffb313728be"
    b"674f84749b0b881666b8babd2d27ecdf824a920c2284059bf2bab833c357f5f4"
    b"4e769e7672c9ddad31855f7db8c7fedb74e02f080203a56b2df48c04677c8a3e"
    b"42b99082de8306631ec0057206947281fb9ae16f3b9122a5a4c36165b824bbb0"
    b"78878ef61c6ce04d7fdc1ca008a1c478d1f89e799c0ce1316ef95150dda868b9"
    b"b6cb3f5d7b72c321de53142c12309def6ace570ebde08d4f9c62b9121fe0d976"
    b"0c88bc4d716b1287595c5220812ffcae5b82dd5bd54fb4967f991ed2c31a3573"
    b"dd5ddea3f3901dc618d1b5b39c04e6aa7c8181f4df2564f33a57bf635f48aca8"
    b"68f344af6b317466efe0a423083e49f343a0a28c42ba792fe96a79fb3e72ad0c"
    b"31b9c405f8540a20604ed93c24d67ff3668bfc2271f5c626cdfe17db3fb24d4a"
    b"4052bf4b6f461db9663c62c3edbad7a00d1a10144ec39c28d36b4789a2582e7f"
    b"fecf4d5190b0fc61862be6bd71d70cc8e724f33999bfcc5b235a27c3188d25eb"
    b"1eddbae2c802e41a123202a8f62bff7aafdf5cc08526a7a474346c10a1d4cfac"
    b"43104d86560ebcfc0c45f45273db33a036e06b7e4c7019178fa0af2dd603f844"
    b"b48e26b484f7a21c0a4a46fb6aaf363a66b0de3225c4744b9615b5110d1d78e5"
    b"fac015404d4d3dab64131bcdfed6f668c004e4048b7b0f9806ebb0f621a01b2d"
)


def comb_point(index):
    """Entry 1..15 of the comb, as (x, y): read when it is needed, all of them take 3 KB."""
    at = 128 * index
    return int(_COMB[at - 128 : at - 64], 16), int(_COMB[at - 64 : at], 16)


def invert(value, prime):
    """1 / value modulo a prime, by Fermat: 0 for 0.

    Extended Euclid is five times faster (85 us against 460 us on a PC) but leaves 35 KB of
    garbage against 0.2 KB, and its course shows the value, here a secret. pow(x, -1, m) gives 0.
    """
    return pow(value, prime - 2, prime)


def on_curve(x, y):
    """Whether (x, y) are coordinates, 0 <= x, y < P, of a point of the curve."""
    return 0 <= x < P and 0 <= y < P and (x * x * x - 3 * x + _B - y * y) % P == 0


def double(point):
    """Twice a Jacobian point: 'dbl-2001-b' of the Explicit-Formulas Database, for a = -3."""
    x, y, z = point
    delta = z * z % P
    gamma = y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    doubled_x = (alpha * alpha - 8 * beta) % P
    return (
        doubled_x,
        (alpha * (4 * beta - doubled_x) - 8 * gamma * gamma) % P,
        2 * y * z % P,
    )


def add(point, affine):
    """A Jacobian point plus an affine one: 8 multiplications, 3 squarings."""
    x, y, z = point
    if not z:
        return affine + (1,)
    square = z * z % P
    h = affine[0] * square % P - x
    r = affine[1] * square * z % P - y
    if not h:
        # The same x: the formula below gives 0 / 0 for equal points.
        return INFINITY if r else double(point)
    hh = h * h % P
    hhh = h * hh % P
    v = x * hh % P
    sum_x = (r * r - hhh - 2 * v) % P
    return sum_x, (r * (v - sum_x) - y * hhh) % P, z * h % P


def to_affine(point):
    """(x, y) of a Jacobian point; (0, 0), which is not on the curve, for the point at infinity."""
    x, y, z = point
    inverse = invert(z, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


def _comb_index(bits, column):
    """Which entry of the comb a column (0..63) of a number needs. bits: the number, 32 bytes."""
    at = 31 - (column >> 3)
    shift = column & 7
    return (
        bits[at] >> shift & 1
        | (bits[at - 8] >> shift & 1) << 1
        | (bits[at - 16] >> shift & 1) << 2
        | (bits[at - 24] >> shift & 1) << 3
    )


def multiply_base(k):
    """Generator -> k * G as an affine point, see to_affine; 0 <= k < 2**256."""
    # k + N or k + 2 * N has 257 bits and is the same multiple. Every sum starts from its top bit,
    # 2**64 times entry 8: nothing shows how many columns of k itself are empty at the start.
    k += N if (k + N) >> 256 else 2 * N
    bits = (k - (1 << 256)).to_bytes(32, "big")
    total = comb_point(8) + (1,)
    for column in range(63, -1, -1):
        index = _comb_index(bits, column)
        total = double(total)
        # An empty column adds too, and drops the sum: the steps do not show the bits of k.
        added = add(total, comb_point(index or 1))
        total = added if index else total
        yield
    return to_affine(total)


def multiply_sum(u, v, point):
    """Generator -> u * G + v * point as a Jacobian point; 0 <= u, v < 2**256, all of them public.

    point: affine, on the curve. Both sums share their doublings (Straus): v goes by pairs of
    bits, u joins for the last 64 doublings by the comb. Little is kept: the heap is full then.
    """
    twice = double(point + (1,))
    multiples = [(0, 0), point, to_affine(twice), to_affine(add(twice, point))]
    yield
    bits = u.to_bytes(32, "big")
    pairs = v.to_bytes(32, "big")
    total = INFINITY
    for at in range(255, -1, -1):
        total = double(total)
        pair = 0 if at & 1 else pairs[31 - (at >> 3)] >> (at & 6) & 3
        if pair:
            total = add(total, multiples[pair])
        index = _comb_index(bits, at) if at < 64 else 0
        if index:
            total = add(total, comb_point(index))
        yield
    return total
