"""Makes the .tflite file of an archive, written from section 7 of `docs/archive-format.md` alone.

It shares no code with `fr_archive` and checks nothing: arrays are a shape and a list of floats.
"""

import itertools
import math
import struct

from archive_page import read_text

TAKES = {6: 2, 7: 1, 8: 1, 9: 2, **dict.fromkeys((10, 11, 12, 13, 15, 18), 2), 14: 1, 16: 1, 17: 1}
MANTISSAS = (32768, 35734, 38968, 42495, 46341, 50535, 55109, 60097)


def float32(x: float) -> float:
    return struct.unpack("<f", struct.pack("<f", x))[0]


def step(k: int) -> float:
    return MANTISSAS[k % 8] * 2.0 ** (k // 8 - 15)


def cosine(n: int, place: int) -> float:
    r = min(place % (4 * n), 4 * n - place % (4 * n))
    return quarter(n, r) if r <= n else -quarter(n, 2 * n - r)


def quarter(n: int, k: int) -> float:
    j = n - k if 2 * k > n else k
    x = (3.141592653589793 * j) / (2 * n)
    q, c = x * x, 1.0
    if 2 * k <= n:
        for i in range(9, 0, -1):
            c = 1 - (q / (2 * i * (2 * i - 1))) * c
        return c
    for i in range(8, 0, -1):
        c = 1 - (q / (2 * i * (2 * i + 1))) * c
    return x * c


def basis(n: int, u: int, i: int) -> float:
    return math.sqrt((2 if u else 1) / n) * cosine(n, (2 * i + 1) * u)


def places(shape):
    return list(itertools.product(*map(range, shape)))


class Follower:
    def __init__(self, tensors, vectors, kernels):
        self.tensors, self.vectors, self.kernels, self.done = tensors, vectors, kernels, []

    def op19(self, numbers):
        kernel, *shape = numbers
        values, k = self.kernels[kernel][:2]
        if isinstance(k, tuple):
            return shape, [k[value] for value in values]
        return shape, [float32(value * step(k)) for value in values]

    def follow(self, op, arrays, numbers):
        self.done.append(getattr(self, f"op{op}")(numbers, *arrays))

    def op0(self, numbers):
        tensor, *rest = numbers
        corner, weights = rest[: len(rest) // 2], rest[len(rest) // 2 :]

        def key(place):
            last = [*place[-1:], *place[-2:-1], *place[:-2]]
            return sum(w * u for w, u in zip(weights, place, strict=True)), last

        values, k = self.tensors[tensor]
        found = dict.fromkeys(places(corner), 0.0)
        for place, value in zip(sorted(found, key=key), values, strict=False):
            found[place] = float32(value * step(k))
        return corner, [found[place] for place in places(corner)]

    def op1(self, numbers):
        first, length, total = numbers
        out = []
        while len(out) < total:
            n, (values, k) = min(length, total - len(out)), self.vectors[first]
            for i in range(n):
                x = 0.0
                for u, value in enumerate(values):
                    x = x + value * step(k) * basis(n, u, i)
                out.append(float32(x))
            first += 1
        return [total], out

    def op2(self, numbers):
        shape, values = self.op1(numbers)
        return shape, [max(x, float32(1e-12)) for x in values]

    def op3(self, numbers):
        n, rows, start, stop = numbers
        columns = range(start, stop)
        return [rows, len(columns)], [basis(n, u, i) for u in range(rows) for i in columns]

    def op4(self, numbers):
        return [], [struct.unpack("<f", struct.pack("<I", numbers[0]))[0]]

    def op5(self, numbers):
        c, rows = len(numbers) // 2, []
        for side, count in enumerate(numbers):
            rows += [(side % c, 1 if side < c else -1, number) for number in range(count)]
        return [3, len(rows)], [float(row[part]) for part in range(3) for row in rows]

    def op6(self, numbers, a, m):
        (shape, values), (axis,) = a, numbers
        terms, length = m[0]
        inside = math.prod(shape[axis + 1 :])
        out = []
        for outer in range(math.prod(shape[:axis])):
            for x in range(length):
                for inner in range(inside):
                    total = 0.0
                    for u in range(terms):
                        total += values[(outer * terms + u) * inside + inner] * m[1][u * length + x]
                    out.append(total)
        return [*shape[:axis], length, *shape[axis + 1 :]], out

    def op7(self, numbers, a):
        found = dict(zip(places(a[0]), a[1], strict=True))
        shape = [a[0][axis] for axis in numbers]
        back = [numbers.index(axis) for axis in range(len(numbers))]
        return shape, [found[tuple(place[axis] for axis in back)] for place in places(shape)]

    def op8(self, numbers, a):
        return numbers, a[1]

    def op9(self, numbers, a, b):
        (n, m), (k, p) = a[0], b[0]
        rows = itertools.product(range(n), range(k), range(m), range(p))
        return [n * k, m * p], [a[1][i * m + j] * b[1][x * p + y] for i, x, j, y in rows]

    def elementwise(self, function, a, b):
        rank = max(len(a[0]), len(b[0]))
        shapes = [[1] * (rank - len(one[0])) + list(one[0]) for one in (a, b)]
        shape = [max(pair) for pair in zip(*shapes, strict=True)]
        tables = [
            dict(zip(places(s), one[1], strict=True)) for s, one in zip(shapes, (a, b), strict=True)
        ]
        out = []
        for place in places(shape):
            x, y = (
                table[tuple(min(i, n - 1) for i, n in zip(place, s, strict=True))]
                for table, s in zip(tables, shapes, strict=True)
            )
            out.append(function(x, y))
        return shape, out

    def op10(self, numbers, a, b):
        return self.elementwise(lambda x, y: x + y, a, b)

    def op11(self, numbers, a, b):
        return self.elementwise(lambda x, y: x - y, a, b)

    def op12(self, numbers, a, b):
        return self.elementwise(lambda x, y: x * y, a, b)

    def op13(self, numbers, a, b):
        return self.elementwise(lambda x, y: x / y, a, b)

    def op14(self, numbers, a):
        return a[0], [math.sqrt(x) for x in a[1]]

    def op15(self, numbers, a, s):
        (axis,), n = numbers, s[0][1]
        found = dict(zip(places(a[0]), a[1], strict=True))
        shape = [*a[0][:axis], n, *a[0][axis + 1 :]]
        out = []
        for place in places(shape):
            channel, sign = int(s[1][place[axis]]), s[1][n + place[axis]]
            out.append(found[*place[:axis], channel, *place[axis + 1 :]] * sign)
        return shape, out

    def op16(self, numbers, s):
        return [s[0][1]], s[1][2 * s[0][1] :]

    def op17(self, numbers, a):
        return [a[0][0] * numbers[0]], a[1] * numbers[0]

    def op18(self, numbers, a, b):
        (axis,) = numbers
        inside = math.prod(a[0][axis + 1 :])
        out, n, m = [], a[0][axis] * inside, b[0][axis] * inside
        for outer in range(math.prod(a[0][:axis])):
            out += a[1][outer * n : (outer + 1) * n] + b[1][outer * m : (outer + 1) * m]
        return [*a[0][:axis], a[0][axis] + b[0][axis], *a[0][axis + 1 :]], out


def filled(kernel, bias, s, by_channel):
    out = kernel[0][0]
    width = len(kernel[1]) // out
    rows = [kernel[1][o * width : (o + 1) * width] for o in range(out)]
    bias = bias[1] if bias else [0.0] * out
    largest = [max(map(abs, row)) for row in rows]
    scales = [
        max(m / 127, abs(b) / (s * 2.0**30), max(largest) / 127 * 2.0**-16) or 2.0**-7
        for m, b in zip(largest, bias, strict=True)
    ]
    scales = [float32(x) for x in (scales if by_channel else [max(scales)] * out)]
    one = 1 if not by_channel else out
    whole = [
        min(127, max(-127, round(x / scale)))
        for row, scale in zip(rows, scales, strict=True)
        for x in row
    ]
    biases = [round(b / (s * scale)) for b, scale in zip(bias, scales, strict=True)]
    return (
        struct.pack(f"<{len(whole)}b", *whole),
        struct.pack(f"<{one}f", *scales[:one]),
        struct.pack(f"<{out}i", *biases),
        struct.pack(f"<{one}f", *(s * scale for scale in scales[:one])),
    )


def expand(payload: bytes, tensors, vectors, kernels) -> bytes:
    text, place = read_text(payload, b"\0"), 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            value |= (text[place] & 127) << shift
            shift, place = shift + 7, place + 1
            if text[place - 1] < 128:
                return value

    def difference():
        value = number()
        return -(value + 1) // 2 if value % 2 else value // 2

    words, follower, sites, scale = number(), Follower(tensors, vectors, kernels), [], 0
    for _ in range(number()):
        op = number()
        if op == 31:
            kernel, bias = follower.done[-number()], number()
            bias = follower.done[-bias] if bias else None
            scale += difference()
            sites.append((kernel, bias, scale, number()))
            continue
        arrays = [follower.done[-number()] for _ in range(TAKES.get(op, 0))]
        follower.follow(op, arrays, [number() for _ in range(number())])
    gaps, end, site = [], 0, 0
    lengths = [(len(k[1]), 4 * (k[0][0] if c else 1), 4 * k[0][0]) for k, _, _, c in sites]
    for _ in range(number()):
        start = end + number()
        site += difference()
        part = number()
        length = (*lengths[site], lengths[site][1])[part]
        end = start + -(-length // 4)
        gaps.append((start, end, site, part))
    place += -place % 4
    inside = {word for start, end, _, _ in gaps for word in range(start, end)}
    file = bytearray(4 * words)
    for word in range(words):
        if word not in inside:
            (w,) = struct.unpack_from("<i", text, place)
            if -4 * words <= w < 0:
                w = -1 - ((1 + w - 4 * word) % (4 * words))
            struct.pack_into("<i", file, 4 * word, w)
            place += 4
    scales = [struct.unpack_from("<f", file, 4 * at)[0] for _, _, at, _ in sites]
    parts = [filled(k, b, s, c) for (k, b, _, c), s in zip(sites, scales, strict=True)]
    for start, _, site, part in gaps:
        data = parts[site][part]
        file[4 * start : 4 * start + len(data)] = data
    return bytes(file)
