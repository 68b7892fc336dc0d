"""How integers become bits, and which probability each bit has.

An integer is written as its magnitude and its sign. A magnitude `m` is written as the exponent `e`
of `m + 1` in unary, then the `e` binary digits after the leading 1 (an exp-Golomb code whose bits
have adaptive probabilities). Every magnitude has one such code, and none is above `LARGEST`.

The functions run with an `Encoder`, which is given the value, or a `Decoder`, which ignores it.
"""

import struct

from fr_archive.rangecoder import HALF, Chance, Decoder, Encoder

_MOST_DIGITS = 30
LARGEST = (1 << (_MOST_DIGITS + 1)) - 2

# This many digits of m + 1 after the leading 1 are modelled; the others are as good as random.
_MODELLED_DIGITS = 2
_DIGIT = 27500  # the density falls, so the lower half of a range is more likely

# Per scale: the chance that a magnitude is not 0, in 1/65536. It is c / (c + 0.75) for the means
# c = 0.12, 0.36, 0.7, 1.4, 2.8, 5.6, 11, 24, which are typical of the classes in `Scale`.
_NOT_ZERO = (9039, 21254, 31638, 42672, 51686, 57792, 61353, 63549)
_UNKNOWN_SCALE = 4
_UNKNOWN_MEAN = 512  # the least mean of that class, in 1/256
_PRIOR_WEIGHT = 4
_LEAST_PRIOR = 4096


def _exponent_priors(not_zero: int) -> list[int]:
    """The chances that the exponent goes on; in a geometric distribution each is the square of
    the one before."""
    row = [not_zero]
    while len(row) < _MOST_DIGITS:
        row.append(max(row[-1] * row[-1] >> 16, _LEAST_PRIOR))
    return row


_PRIORS = [_exponent_priors(one) for one in _NOT_ZERO]


class Digits:
    """The digits of `m + 1` after its leading 1; the first ones have probabilities that adapt."""

    def __init__(self):
        # By the exponent, then by the leading 1 and the digits before.
        self._chances = [
            [Chance(_DIGIT, _PRIOR_WEIGHT) for _ in range(1 << _MODELLED_DIGITS)]
            for _ in range(_MOST_DIGITS + 1)
        ]

    def code(self, coder: Encoder | Decoder, exponent: int, magnitude: int) -> int:
        """Returns the magnitude, whose exponent is known."""
        value = 1
        magnitude += 1
        modelled = exponent - _MODELLED_DIGITS
        for place in range(exponent - 1, -1, -1):
            bit = magnitude >> place & 1
            if place >= modelled:
                chance = self._chances[exponent][value]
                bit = coder.bit(chance.one, bit)
                chance.learn(bit)
            else:
                bit = coder.bit(HALF, bit)
            value = value << 1 | bit
        return value - 1


def unsigned(coder: Encoder | Decoder, bits: int, value: int = 0) -> int:
    """Codes a number of so many bits, all of them as good as random, the highest first."""
    found = 0
    for place in range(bits - 1, -1, -1):
        found = found << 1 | coder.bit(HALF, value >> place & 1)
    return found


def real(coder: Encoder | Decoder, value: float = 0.0) -> float:
    """Codes a number of float32 as its bits."""
    (bits,) = struct.unpack(">I", struct.pack(">f", value))
    return struct.unpack(">f", struct.pack(">I", unsigned(coder, 32, bits)))[0]


class Numbers:
    """Whole numbers of one kind that describe the layout of the rest: counts, steps, lengths.

    Args:
        one: The initial chance that the exponent goes on.
    """

    def __init__(self, one: int = HALF):
        self._goes_on = [Chance(one, 1) for _ in range(_MOST_DIGITS)]
        self._negative = Chance()
        self._digits = Digits()

    def magnitude(self, coder: Encoder | Decoder, value: int = 0) -> int:
        """Codes a number from 0 to `LARGEST`."""
        wanted = (value + 1).bit_length() - 1
        exponent = 0
        while exponent < _MOST_DIGITS:
            chance = self._goes_on[exponent]
            bit = coder.bit(chance.one, int(wanted > exponent))
            chance.learn(bit)
            if not bit:
                break
            exponent += 1
        return self._digits.code(coder, exponent, value)

    def signed(self, coder: Encoder | Decoder, value: int = 0) -> int:
        """Codes a number from `-LARGEST` to `LARGEST`."""
        magnitude = self.magnitude(coder, abs(value))
        if not magnitude:
            return 0
        negative = coder.bit(self._negative.one, int(value < 0))
        self._negative.learn(negative)
        return -magnitude if negative else magnitude


class Scale:
    """The mean magnitude of the last few coefficients of one tensor, in 1/256."""

    __slots__ = ("_mean", "_tenth", "_third", "count")

    def __init__(self, length: int):
        self.count = 0
        self._mean = 0
        # The places at which a tenth and a third of the tensor are reached.
        self._tenth, self._third = -(-length // 10), -(-length // 3)

    def scale(self) -> int:
        """Returns the class of the mean: below 1/4, 1/2, 1, 2, 4, 8, 16, or above."""
        if not self.count:
            return _UNKNOWN_SCALE
        scale = (self._mean >> 6).bit_length()
        return scale if scale < 7 else 7

    def zone(self) -> int:
        """Returns the class of the position: first two, first tenth, first third, or the rest."""
        count = self.count
        if count < 2:
            return 0
        if count < self._tenth:
            return 1
        return 2 if count < self._third else 3

    def add(self, magnitude: int) -> None:
        """Takes the next magnitude into the mean."""
        count = self.count
        self._mean += ((magnitude << 8) - self._mean) // (count + 1 if count < 8 else 9)
        self.count = count + 1


class Columns:
    """The mean magnitudes of the last few numbers of a kernel, and of each of its columns.

    Args:
        columns: The length of the last axis.
    """

    __slots__ = ("_column", "_columns", "_mean", "_means", "_row")

    def __init__(self, columns: int):
        self._columns = columns
        self._row = self._column = 0
        # In 1/256; before the first number of its own, each has the class of an unknown scale.
        self._mean = _UNKNOWN_MEAN
        self._means = [_UNKNOWN_MEAN] * columns

    def classes(self) -> tuple[int, int]:
        """Returns the class of the last few numbers, and that of the column."""
        scale = (self._mean >> 6).bit_length()
        column = (self._means[self._column] >> 6).bit_length()
        return scale if scale < 7 else 7, column if column < 7 else 7

    def add(self, magnitude: int) -> None:
        """Takes the next magnitude into both means."""
        row, column, magnitude = self._row, self._column, magnitude << 8
        before = row * self._columns + column
        self._mean += (magnitude - self._mean) // (before + 1 if before < 8 else 9)
        mean = self._means[column]
        self._means[column] = mean + (magnitude - mean) // (row + 1 if row < 32 else 33)
        self._column += 1
        if self._column == self._columns:
            self._row, self._column = row + 1, 0


class Kernels:
    """Quantized numbers of kernels, as they lie in space.

    The exponent of a magnitude is predicted twice: from the last few numbers, and from those of the
    same column, which is an output channel. Each prediction has its own probabilities, which all
    kernels share, and the coder takes the mean of both.
    """

    def __init__(self):
        last, column = (
            [[Chance(one, _PRIOR_WEIGHT) for one in row] for row in _PRIORS] for _ in range(2)
        )
        self._pairs = [[list(zip(a, b, strict=True)) for b in column] for a in last]
        self._digits = Digits()

    def code(self, coder: Encoder | Decoder, kernel: Columns, value: int = 0) -> int:
        """Codes the next number of `kernel`."""
        magnitude = abs(value)
        scale, column = kernel.classes()
        exponent = coder.steps(self._pairs[scale][column], (magnitude + 1).bit_length() - 1)
        magnitude = self._digits.code(coder, exponent, magnitude) if exponent else 0
        kernel.add(magnitude)
        return -magnitude if magnitude and coder.bit(HALF, int(value < 0)) else magnitude


class Coefficients:
    """Quantized coefficients whose scale changes slowly along each tensor.

    The exponent of a magnitude is predicted twice: from the scale of its tensor so far, and from
    its position. Each prediction has its own probabilities, which all tensors share, and the coder
    takes the mean of both.
    """

    def __init__(self):
        by_scale = [[Chance(one, _PRIOR_WEIGHT) for one in row] for row in _PRIORS]
        by_zone = [[Chance(one) for one in _PRIORS[_UNKNOWN_SCALE]] for _ in range(4)]
        self._pairs = [
            [list(zip(scale, zone, strict=True)) for zone in by_zone] for scale in by_scale
        ]
        self._digits = Digits()
        self._first_negative = Chance()

    def code(self, coder: Encoder | Decoder, tensor: Scale, value: int = 0) -> int:
        """Codes the next coefficient of `tensor`."""
        magnitude = abs(value)
        pairs = self._pairs[tensor.scale()][tensor.zone()]
        exponent = coder.steps(pairs, (magnitude + 1).bit_length() - 1)
        magnitude = self._digits.code(coder, exponent, magnitude) if exponent else 0
        negative = 0
        if magnitude and tensor.count:
            negative = coder.bit(HALF, int(value < 0))
        elif magnitude:
            # The first coefficient is the mean, and variances have a positive one.
            negative = coder.bit(self._first_negative.one, int(value < 0))
            self._first_negative.learn(negative)
        tensor.add(magnitude)
        return -magnitude if negative else magnitude
