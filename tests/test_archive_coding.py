"""The range coder, the integers and the compression of text, each by itself."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fr_archive import ArchiveError, lz
from fr_archive._integers import LARGEST, Numbers
from fr_archive.rangecoder import Chance, Decoder, Encoder, Undecided

bits = st.lists(st.tuples(st.integers(0, 65536), st.integers(0, 1)), max_size=200)


def encoded(sequence) -> bytes:
    encoder = Encoder()
    for one, bit in sequence:
        assert encoder.bit(one, bit) == bit
    return encoder.finish()


@given(bits)
def test_bits_come_back(sequence):
    data = encoded(sequence)
    decoder = Decoder(b"x" + data + b"y", 1, 1 + len(data))
    assert [decoder.bit(one) for one, _ in sequence] == [bit for _, bit in sequence]
    decoder.finish()


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("one", [0, 1024, 64512, 65536])
def test_long_runs_come_back(one, bit):
    """Runs of the likeliest bit reach no end, and runs of the other carry far."""
    sequence = [(one, bit)] * 3000 + [(one, 1 - bit)] * 3 + [(32768, bit)] * 100
    decoder = Decoder(data := encoded(sequence), 0, len(data))
    assert [decoder.bit(one) for one, _ in sequence] == [bit for _, bit in sequence]
    decoder.finish()


@given(bits, st.binary(max_size=3), st.integers(0, 3))
def test_only_the_encoder_s_stream_is_accepted(sequence, tail, cut):
    """Of all streams that decode to the same bits, and there are many, one is accepted."""
    data = encoded(sequence)
    other = data[: len(data) - cut] + tail
    try:
        decoder = Decoder(other, 0, len(other))
        found = [(one, decoder.bit(one)) for one, _ in sequence]
        decoder.finish()
    except ArchiveError:
        assert other != data
    else:
        assert encoded(found) == other


@given(st.lists(st.integers(0, 65536), max_size=12), st.integers(0, 255))
def test_of_all_last_bytes_one_is_accepted(chances, byte):
    decoder = Decoder(bytes([byte]), 0, 1)
    found = []
    try:
        for one in chances:
            found.append((one, decoder.bit(one)))
        decoder.finish()
    except ArchiveError:
        assert len(found) < len(chances) or encoded(found) != bytes([byte])
    else:
        assert encoded(found) == bytes([byte])


@given(bits)
def test_a_cut_stream_decides_what_every_end_agrees_on(sequence):
    """The number that the stream is lies between the two ends, and so do the bits."""
    data = encoded(sequence)
    for end in range(len(data) + 1):
        cut = Decoder(data, 0, end, cut=True)
        low, high = (
            Decoder(padded := data[:end] + fill * 400, 0, len(padded)) for fill in (b"\0", b"\xff")
        )
        for one, bit in sequence:
            # A decoder that is wrong from here on is not asked again.
            ends = low.bit(one), high.bit(one)
            if ends[0] != ends[1]:
                with pytest.raises(Undecided):
                    cut.bit(one)
                break
            assert ends == (bit, bit)
            assert cut.bit(one) == bit


def test_a_chance_learns_as_the_page_says():
    chance = Chance()
    for bit in (1, 1, 0):
        chance.learn(bit)
    # 32768 + 32768 * 43690 >> 16, then + 10923 * 26214 >> 16, then - 58982 * 18724 >> 16
    assert (chance.one, chance.seen) == (42130, 3)
    for _ in range(100):
        chance.learn(1)
    assert chance.seen == 64
    assert 0 < chance.one < 65536


@given(st.lists(st.integers(-LARGEST, LARGEST) | st.integers(-9, 9), max_size=40))
def test_numbers_come_back(values):
    encoder, numbers = Encoder(), Numbers()
    for value in values:
        numbers.signed(encoder, value)
    decoder, numbers = Decoder(data := encoder.finish(), 0, len(data)), Numbers()
    assert [numbers.signed(decoder) for _ in values] == values
    decoder.finish()


texts = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"ab", b"abc", b'"name":', b"\0\0\0\1", b"x"]), max_size=60).map(
        b"".join
    ),
)


@given(texts, texts.filter(len))
def test_text_comes_back(data, dictionary):
    packed = lz.compress(data, dictionary)
    assert lz.decompress(Decoder(packed, 0, len(packed)), len(data), dictionary) == data


def test_repetition_packs_to_a_few_bytes():
    packed = lz.compress(b"abcdef" * 10_000)
    assert len(packed) < 20
    assert lz.decompress(Decoder(packed, 0, len(packed)), 60_000) == b"abcdef" * 10_000


def test_text_beyond_the_limit_is_refused():
    packed = lz.compress(bytes(1000))
    with pytest.raises(ArchiveError, match="At most 999 bytes"):
        lz.decompress(Decoder(packed, 0, len(packed)), 999)


def packed_match(length: int, distance: int, size: int) -> bytes:
    """A text of one match, written without the encoder's care."""
    encoder, tokens = Encoder(), lz._Tokens()
    tokens.size.magnitude(encoder, size)
    tokens.is_match(encoder, True)
    tokens.match(encoder, length, distance)
    return encoder.finish()


@pytest.mark.parametrize(("length", "distance"), [(3, 2), (3, 2**31 - 1), (11, 1), (2**31, 1)])
def test_a_match_outside_is_refused(length, distance):
    data = packed_match(length, distance, size=10)
    with pytest.raises(ArchiveError, match="outside of the window"):
        lz.decompress(Decoder(data, 0, len(data)), 100)


def test_random_bytes_hardly_grow():
    data = random.Random(0).randbytes(2000)
    assert len(lz.compress(data)) < 2150


@given(st.lists(st.integers(0, 4), max_size=100), st.integers(1, 4))
def test_steps_say_what_bits_of_mean_probability_say(numbers, most):
    """`steps` is laid out for speed; `bit` and `learn` are its specification."""

    def pairs():
        return [(Chance(9000 * n, n), Chance(60000, 63)) for n in range(1, most + 1)]

    numbers = [min(one, most) for one in numbers]
    fast, slow, ours, theirs = Encoder(), Encoder(), pairs(), pairs()
    for number in numbers:
        assert fast.steps(ours, number) == number
        for place, (first, second) in enumerate(theirs):
            bit = slow.bit(first.one + second.one >> 1, int(number > place))
            first.learn(bit)
            second.learn(bit)
            if not bit:
                break
    data = fast.finish()
    assert data == slow.finish()
    state = [(one.one, one.seen) for pair in ours for one in pair]
    assert state == [(one.one, one.seen) for pair in theirs for one in pair]
    decoder, again = Decoder(data, 0, len(data)), pairs()
    assert [decoder.steps(again) for _ in numbers] == numbers
    assert state == [(one.one, one.seen) for pair in again for one in pair]
    decoder.finish()


def test_steps_stop_where_a_cut_stream_does_not_decide():
    encoder, pairs = Encoder(), [(Chance(), Chance()) for _ in range(3)]
    for number in [3, 0, 1, 2] * 40:
        encoder.steps(pairs, number)
    data = encoder.finish()
    decoder, pairs = Decoder(data, 0, 5, cut=True), [(Chance(), Chance()) for _ in range(3)]
    found = []

    def read_on():
        while True:
            found.append(decoder.steps(pairs))

    with pytest.raises(Undecided):
        read_on()
    assert 0 < len(found) < 160
    assert found == ([3, 0, 1, 2] * 40)[: len(found)]
