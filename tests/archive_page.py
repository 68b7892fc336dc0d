"""A reader of archives written from `docs/archive-format.md` alone, as another language would.

It shares no code with `fr_archive`, checks nothing, and is as plain as the page.
"""

import collections
import itertools
import json
import struct
from fractions import Fraction

RATE = [131072 // (2 * n + 3) for n in range(65)]
P = [[c] for c in (9039, 21254, 31638, 42672, 51686, 57792, 61353, 63549)]
for row in P:
    while len(row) < 30:
        row.append(max(row[-1] * row[-1] >> 16, 4096))


class Stream:
    def __init__(self, payload: bytes):
        self.rest = iter(payload + bytes(8))
        self.range, self.code = 1 << 32, 0
        for _ in range(4):
            self.code = self.code * 256 + next(self.rest)

    def bit(self, one: int) -> int:
        bound = (self.range >> 16) * min(max(one, 1024), 64512)
        if self.code < bound:
            result, self.range = 1, bound
        else:
            result, self.code, self.range = 0, self.code - bound, self.range - bound
        while self.range < 1 << 24:
            self.range *= 256
            self.code = self.code * 256 + next(self.rest)
        return result

    def learned(self, chance: list[int]) -> int:
        bit = self.bit(chance[0])
        learn(chance, bit)
        return bit


def learn(chance: list[int], bit: int) -> None:
    one, seen = chance
    chance[:] = one + (((bit << 16) - one) * RATE[seen] >> 16), min(seen + 1, 64)


def new_digits() -> dict:
    return collections.defaultdict(lambda: [27500, 4])


def read_digits(stream: Stream, digits: dict, e: int) -> int:
    v = 1
    for number in range(e):
        v = 2 * v + (stream.learned(digits[e, v]) if number < 2 else stream.bit(32768))
    return v - 1


def read_exponent(stream: Stream, first: list, second: list) -> int:
    e = 0
    while e < 30:
        a, b = first[e], second[e]
        bit = stream.bit(a[0] + b[0] >> 1)
        learn(a, bit)
        learn(b, bit)
        if not bit:
            break
        e += 1
    return e


class Numbers:
    def __init__(self, p: int):
        self.unary = [[p, 1] for _ in range(30)]
        self.digits, self.negative = new_digits(), [32768, 0]

    def magnitude(self, stream: Stream) -> int:
        e = 0
        while e < 30 and stream.learned(self.unary[e]):
            e += 1
        return read_digits(stream, self.digits, e)

    def signed(self, stream: Stream) -> int:
        magnitude = self.magnitude(stream)
        return -magnitude if magnitude and stream.learned(self.negative) else magnitude


class Coefficients:
    def __init__(self):
        self.by_scale = [[[one, 4] for one in P[scale]] for scale in range(8)]
        self.by_zone = [[[one, 0] for one in P[4]] for _ in range(4)]
        self.digits, self.negative = new_digits(), [32768, 0]

    def read(self, stream: Stream, state: dict) -> int:
        n, count, mean = state["n"], state["count"], state["mean"]
        scale = min(7, (mean >> 6).bit_length()) if count else 4
        zone = 0 if count < 2 else 1 if 10 * count < n else 2 if 3 * count < n else 3
        e = read_exponent(stream, self.by_scale[scale], self.by_zone[zone])
        m = read_digits(stream, self.digits, e)
        negative = 0
        if m:
            negative = stream.bit(32768) if count else stream.learned(self.negative)
        state["mean"] = mean + (256 * m - mean) // (min(count, 8) + 1)
        state["count"] = count + 1
        return -m if negative else m


def read_series(payload: bytes, interleaved: bool) -> list[tuple[tuple[int, ...], int]]:
    stream = Stream(payload)
    counts, steps = [0], [0]
    count, step = Numbers(49152), Numbers(32768)
    for _ in range(Numbers(32768).magnitude(stream)):
        counts.append(counts[-1] + count.signed(stream))
        steps.append(steps[-1] + step.signed(stream))
    counts, steps = counts[1:], steps[1:]
    order = [(Fraction(2 * j + 1, 2 * n), t) for t, n in enumerate(counts) for j in range(n)]
    if interleaved:
        order.sort()
    states = [{"n": n, "count": 0, "mean": 0} for n in counts]
    values = [[] for _ in counts]
    coefficients = Coefficients()
    for _, tensor in order:
        values[tensor].append(coefficients.read(stream, states[tensor]))
    return list(zip(map(tuple, values), steps, strict=True))


def read_kernels(payload: bytes) -> list[tuple]:
    """Of each kernel its whole numbers, step and columns, or its places, levels and columns.

    Of signs these are the bits of the seed, and the scale below and above 0.
    """
    stream, table, shape = Stream(payload), [], [0, 0, 0]
    counters = Numbers(49152), Numbers(49152), Numbers(32768)
    form = Numbers(32768)
    for _ in range(Numbers(32768).magnitude(stream)):
        shape = [n + counter.signed(stream) for n, counter in zip(shape, counters, strict=True)]
        table.append((*shape, form.magnitude(stream)))
    whole, mirrored = WholeNumbers(), [32768, 0]
    kernels = []
    for rows, columns, step, form in table:
        if form == 17:
            seed, scale = read_bits(stream, 64), as_float(read_bits(stream, 32))
            kernels.append((philox_bits(seed, rows * columns), (-scale, scale), columns))
        elif form:
            levels = read_levels(stream, form, mirrored)
            kernels.append((read_places(stream, levels, rows, columns), levels, columns))
        else:
            kernels.append((whole.read(stream, rows, columns), step, columns))
    return kernels


class WholeNumbers:
    def __init__(self):
        self.by_scale, self.by_column = (
            [[[one, 4] for one in P[s]] for s in range(8)] for _ in range(2)
        )
        self.digits = new_digits()

    def read(self, stream: Stream, rows: int, columns: int) -> tuple[int, ...]:
        mean, of_column, values = 512, [512] * columns, []
        for place in range(rows * columns):
            r, c = divmod(place, columns)
            scale, other = (min(7, (one >> 6).bit_length()) for one in (mean, of_column[c]))
            e = read_exponent(stream, self.by_scale[scale], self.by_column[other])
            m = read_digits(stream, self.digits, e)
            values.append(-m if m and stream.bit(32768) else m)
            mean += (256 * m - mean) // (min(place, 8) + 1)
            of_column[c] += (256 * m - of_column[c]) // (min(r, 32) + 1)
        return tuple(values)


def read_bits(stream: Stream, count: int) -> int:
    return int("".join(str(stream.bit(32768)) for _ in range(count)), 2)


def as_float(bits: int) -> float:
    return struct.unpack(">f", bits.to_bytes(4, "big"))[0]


def philox_bits(seed: int, count: int) -> tuple[int, ...]:
    words = []
    for block in range(-(-count // 256)):
        a, b, c, d, k, j = block + 1, 0, 0, 0, seed, 0
        for _ in range(10):
            p, q = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
            a, b, c, d = (q >> 64) ^ b ^ k, q % 2**64, (p >> 64) ^ d ^ j, p % 2**64
            k, j = (k + 0x9E3779B97F4A7C15) % 2**64, (j + 0xBB67AE8584CAA73B) % 2**64
        words += a, b, c, d
    return tuple(words[i // 64] >> i % 64 & 1 for i in range(count))


def read_levels(stream: Stream, count: int, mirrored: list[int]) -> tuple[float, ...]:
    def level():
        return as_float(read_bits(stream, 32))

    if not stream.learned(mirrored):
        return tuple(level() for _ in range(count))
    upper = [level() for _ in range(count // 2)]
    return (*(-one for one in upper[::-1]), *[0.0] * (count % 2), *upper)


def read_places(stream: Stream, levels: tuple[float, ...], rows: int, columns: int):
    count = len(levels)
    if count == 1:
        return (0,) * (rows * columns)
    base = levels.index(min(levels, key=abs))
    w = (count - 2).bit_length()
    chances = collections.defaultdict(lambda: [32768, 0])

    def decision(v, c):
        (a, _), (b, t) = pair = chances[v], chances[c, v]
        bit = stream.bit((16 * a + (t + 1) * b) // (t + 17))
        for chance in pair:
            learn(chance, bit)
        return bit

    values = []
    for place in range(rows * columns):
        c = place % columns if rows >= count else 0
        if not decision(0, c):
            values.append(base)
            continue
        v = 1
        for i in range(w)[::-1]:
            beyond = ((2 * v + 1) << i) - (1 << w) > count - 2
            v = 2 * v + (0 if beyond else decision(v, c))
        other = v - (1 << w)
        values.append(other + (other >= base))
    return tuple(values)


def read_text(payload: bytes, dictionary: bytes) -> bytes:
    stream, window = Stream(payload), bytearray(dictionary)
    end = len(window) + Numbers(49152).magnitude(stream)
    matches, again = [[32768, 0] for _ in range(4)], [32768, 0]
    bytes_seen = collections.defaultdict(lambda: [32768, 0])
    distances, lengths = Numbers(49152), [Numbers(32768), Numbers(32768)]
    before, distance = 0, 1
    while len(window) < end:
        match = stream.learned(matches[before])
        before = (2 * before + match) % 4
        if match:
            same = stream.learned(again)
            if not same:
                distance = 1 + distances.magnitude(stream)
            for _ in range(3 + lengths[same].magnitude(stream)):
                window.append(window[-distance])
            continue
        node, p = 1, len(window)
        while node < 256:
            keys = node, (window[p - 1], node), (p % 4, window[p - 4] if p > 3 else 0, node)
            chances = [bytes_seen[key] for key in keys]
            w = [(seen + 1) * trust for (_, seen), trust in zip(chances, (1, 3, 6), strict=True)]
            one = sum(a * b[0] for a, b in zip(w, chances, strict=True)) // sum(w)
            bit = stream.bit(one)
            for chance in chances:
                learn(chance, bit)
            node = 2 * node + bit
        window.append(node - 256)
    return bytes(window[len(dictionary) :])


def read_number(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[place] & 127) << shift
        shift, place = shift + 7, place + 1
        if data[place - 1] < 128:
            return number, place


def read_sections(data: bytes, place: int, end: int) -> dict[int, bytes]:
    payloads = {}
    while place < end:
        head, place = read_number(data, place)
        payloads[head % 8] = data[place : place + head // 8]
        place += head // 8
    return payloads


def read(data: bytes, dictionary: bytes) -> dict[str, object]:
    payloads = read_sections(data, 8, len(data))
    return {
        "architecture": json.loads(read_text(payloads[0], dictionary)),
        "vectors": read_series(payloads[1], interleaved=False) if 1 in payloads else [],
        "skeleton": payloads.get(2),
        "kernels": read_kernels(payloads[3]) if 3 in payloads else [],
        "tensors": read_series(payloads[7], interleaved=True),
    }


MANTISSAS = 32768, 35734, 38968, 42495, 46341, 50535, 55109, 60097


def real_numbers(kernel: tuple) -> tuple[list[float], int]:
    values, scale, columns = kernel
    if isinstance(scale, tuple):
        return [scale[place] for place in values], columns
    step = MANTISSAS[scale % 8] * 2.0 ** (scale // 8 - 15)
    return [value * step for value in values], columns


def read_nested(data: bytes, dictionary: bytes) -> list[dict[str, object]]:
    place, networks = 4, []
    text, profile, skeleton = b"", b"", None
    while place < len(data):
        length, place = read_number(data, place)
        place += 4
        payloads = read_sections(data, place, place + length)
        place += length
        text = read_text(payloads[0], dictionary + text)
        profile = read_text(payloads[4], b"\0" + profile)
        skeleton = read_text(payloads[2], b"\0" + (skeleton or b"")) if 2 in payloads else None
        vectors = read_series(payloads[1], interleaved=False) if 1 in payloads else []
        kernels = list(map(real_numbers, read_kernels(payloads[3]))) if 3 in payloads else []
        if networks:
            vectors, kernels = read_growth(payloads[5], networks[-1], vectors, kernels)
        networks.append(
            {
                "architecture": json.loads(text),
                "profile": json.loads(profile),
                "skeleton": skeleton,
                "vectors": vectors,
                "kernels": kernels,
            }
        )
    return networks


class Axes:
    def __init__(self):
        self.known, self.pointers = [], [[Numbers(32768), 0] for _ in range(4)]
        self.count, self.parts = Numbers(32768), [Numbers(49152) for _ in range(3)]
        self.makes = [[32768, 0], [32768, 0]]

    def read(self, stream: Stream, pointer: int) -> list[bool]:
        """Which positions are new."""
        numbers, expected = self.pointers[pointer]
        number = expected + numbers.signed(stream)
        self.pointers[pointer][1] = number + 1
        if number == len(self.known):
            marks = []
            for _ in range(1 + self.count.magnitude(stream)):
                old, new, more = (one.magnitude(stream) for one in self.parts)
                marks += ([False] * old + [True] * new) * (more + 1)
            self.known.append(marks)
        return self.known[number]


def read_growth(payload: bytes, before: dict, vectors: list, kernels: list) -> tuple[list, list]:
    stream, numbers = Stream(payload), Numbers(32768)
    counts = numbers.magnitude(stream), numbers.magnitude(stream)
    of_vectors, of_kernels, axes = Numbers(32768), Numbers(32768), Axes()
    vectors, kernels = iter(vectors), iter(kernels)
    found = []
    for place in range(counts[0]):
        kind = of_vectors.magnitude(stream)
        if kind == 0:
            found.append(next(vectors))
        elif kind == 1:
            found.append(before["vectors"][place])
        else:
            marks = axes.read(stream, 3)
            found.append((before["vectors"][place], marks, next(vectors)))
    grown = []
    for place in range(counts[1]):
        kind = of_kernels.magnitude(stream)
        if kind == 0:
            grown.append(next(kernels))
        elif kind == 1:
            grown.append(before["kernels"][place])
        else:
            described = []
            for left in range(kind - 1)[::-1]:
                marks = axes.read(stream, min(left, 2))
                makes = any(marks) and stream.learned(axes.makes[left == 0])
                described.append((marks, bool(makes)))
            grown.append(grown_kernel(before["kernels"][place][0], described, kernels))
    return found, grown


def grown_kernel(old: list, axes: list, kernels) -> tuple[list[float], int]:
    makers = [place for place, (_, makes) in enumerate(axes) if makes][::-1]
    parts = [iter(next(kernels)[0]) for _ in makers]
    old, values = iter(old), []
    for position in itertools.product(*(range(len(marks)) for marks, _ in axes)):
        new = [marks[at] for (marks, _), at in zip(axes, position, strict=True)]
        part = [one for place, one in zip(makers, parts, strict=True) if new[place]]
        values.append(next(part[0]) if part else 0.0 if any(new) else next(old))
    return values, len(axes[-1][0])
