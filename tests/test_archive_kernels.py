"""Version 2 of the archive: networks with kernels in space, FR or not."""

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from keras import layers
from networks import images, relative_difference
from test_archive_skeleton import by_the_page

import fr_archive
import fr_keras
from fr_archive import Archive, ArchiveError, Codebook, Kernel, Reference, Signs, container
from fr_archive._integers import real, unsigned
from fr_archive._kernels import _Table
from fr_archive.archive import kernel_size
from fr_archive.container import Kind
from fr_archive.rangecoder import HALF, Encoder
from fr_keras import tflite
from fr_keras.archive._quantization import (
    _in_levels,
    _in_steps,
    quantize_kernel,
    quantize_vector,
)
from fr_keras.models.vectors import weights
from fr_keras.models.walk import frequency_layers

X = images(64, (8, 8, 2))


def plain() -> keras.Model:
    """Kernels of several kinds, statistics, and a bias with two axes."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((8, 8, 2), name="image")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.EinsumDense("ab,bcd->acd", (3, 4), bias_axes="cd", name="einsum")(x)
    x = layers.Flatten(name="flat")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="plain")
    for weight in model.get_layer("norm").weights:
        weight.assign(weight + 0.1 * np.arange(6))
    model.get_layer("einsum").bias.assign(np.arange(12).reshape(3, 4) / 10)
    return model


def mixed() -> keras.Model:
    return fr_keras.regularize(plain(), exclude=["einsum", "logits"])


@pytest.mark.parametrize("make", [plain, mixed], ids=["plain", "mixed"])
def test_a_network_comes_back(make, tmp_path):
    model = make()
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", kernel_error=0.01)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert len(frequency_layers(loaded)) == len(frequency_layers(model))
    types = {type(one) for one in loaded.layers}
    assert (fr_keras.layers.FRBatchNormalization in types) == bool(frequency_layers(model))
    for before, after in zip(weights(model), weights(loaded), strict=True):
        size = max(np.linalg.norm(before.values()), 1e-9)
        error = np.linalg.norm(before.values() - after.values()) / size
        # The step is the nearest of eight an octave.
        assert error < 0.0125, before.name
        if before.in_space and before.size > 100:
            assert error > 0.008, before.name
    fr_keras.save_archive(loaded, tmp_path / "again.fr", kernel_error=0.01)
    assert (tmp_path / "again.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()
    residuals = {k: v for row in packing.layers for k, v in row.residuals.items()}
    assert 0.008 < residuals["einsum/kernel"] < 0.0125
    in_space = sum(one.size for one in weights(model) if one.in_space)
    assert sum(row.kernel_numbers for row in packing.layers) == in_space
    parts = sum(row.bytes for row in packing.layers)
    assert 0 < packing.bytes - parts < 0.2 * packing.bytes + 150


@tensorflow_alone("it converts")
def test_the_file_of_a_plain_network_is_that_of_convert(tmp_path):
    model = plain()
    fr_keras.save_archive(model, tmp_path / "m.fr", skeleton={"calibration": X})
    archive = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    done = tflite.convert(loaded, quantize="int8", calibration=X)
    assert fr_archive.expand(archive) == done.content
    # The kernels themselves are in gaps.
    assert len(archive.skeleton) < 0.5 * len(done.content)
    before = tflite.run(tflite.convert(model, quantize="int8", calibration=X).content, X)
    assert relative_difference(before, tflite.run(done.content, X)) < 0.1


def statistics(model: keras.Model) -> list[np.ndarray]:
    norm = model.get_layer("norm")
    return [norm.moving_mean.numpy(), norm.moving_variance.numpy()]


def measured(model: keras.Model, kernel: np.ndarray) -> list[np.ndarray]:
    """The statistics on the rows with a kernel, from scratch."""
    y = keras.ops.conv(X, kernel, padding="same")
    y = keras.ops.convert_to_numpy(y)
    return [y.mean((0, 1, 2)), y.var((0, 1, 2))]


def test_statistics_change_as_those_of_the_rows_do(tmp_path):
    model, coarse = plain(), {"kernel_error": 0.5, "error": 1e-6}
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", **coarse, calibration=X)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    kernels = [one.get_layer("conv").kernel.numpy() for one in (model, loaded)]
    (mean, variance), (before, spread), (after, wider) = (
        statistics(model), *(measured(model, kernel) for kernel in kernels)
    )  # fmt: skip
    found = statistics(loaded)
    np.testing.assert_allclose(found[0], mean + after - before, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], variance * wider / spread, rtol=1e-3)
    # What the report says of a kernel is the error of the rounding, not of a second one.
    residuals = {k: v for row in packing.layers for k, v in row.residuals.items()}
    assert residuals["conv/kernel"] > 0.3
    assert packing.agreements["logits"].mean > 0


def test_statistics_of_a_network_that_is_hardly_rounded_stay(tmp_path):
    """Though those of the rows are others."""
    model, fine = plain(), {"kernel_error": 1e-5, "error": 1e-6}
    fr_keras.save_archive(model, tmp_path / "m.fr", **fine, calibration=iter([X[:40], X[40:]]))
    for before, after in zip(
        statistics(model), statistics(fr_keras.load_archive(tmp_path / "m.fr")), strict=True
    ):
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)


def test_a_network_that_is_too_large_is_refused_at_once(tmp_path, monkeypatch):
    def too_late(*_):
        raise AssertionError("it worked for long")

    monkeypatch.setattr("fr_keras.archive._save.MOST_KERNEL_NUMBERS", 1000)
    monkeypatch.setattr("fr_keras.archive._save.rounded_kernels", too_late)
    message = r"at most 1,000 numbers .* `fr_keras.regularize`. Received: 2,7\d\d"
    with pytest.raises(ValueError, match=message):
        fr_keras.save_archive(plain(), tmp_path / "m.fr")
    with pytest.raises(AssertionError):  # FR layers do not count
        fr_keras.save_archive(fr_keras.regularize(plain()), tmp_path / "m.fr")


def test_errors_by_layer(tmp_path):
    model = plain()
    whole = fr_keras.save_archive(model, tmp_path / "a.fr", kernel_error=0.1)
    finer = fr_keras.save_archive(model, tmp_path / "b.fr", kernel_error={"einsum": 0.001})
    assert finer.sections["kernels"] > whole.sections["kernels"]
    with pytest.raises(ValueError, match="`kernel_error` must name only layers that it applies to"):
        fr_keras.save_archive(model, tmp_path / "c.fr", kernel_error={"norm": 0.1})


def test_kernels_of_zeros_and_on_a_grid_are_exact():
    assert quantize_kernel(np.zeros(6, np.float32), 3, 0.1).reals().tolist() == [0.0] * 6
    whole = np.float32([20, 0, -11, 1] * 40 + [*range(20)]) * np.float32(0.25)
    found = quantize_kernel(whole, 4, 0.01)
    assert found.reals().tolist() == whole.tolist()
    assert max(found.values) == 20
    assert quantize_kernel(np.empty(0, np.float32), 1, 0.1).values == ()


def few_levels() -> keras.Model:
    """A ternary, a binary and a 4-bit kernel, and a kernel whose columns have other zeros."""
    model, random = plain(), np.random.default_rng(1)
    fine = np.sort(random.normal(size=16)).astype(np.float32)
    for name, levels in (
        ("conv", [-0.123, 0, 0.123]),
        ("depthwise", [-0.3, 0.1]),
        ("einsum", fine),
    ):
        kernel = model.get_layer(name).kernel
        kernel.assign(random.choice(np.float32(levels), kernel.shape))
    return model


def test_kernels_of_few_levels_come_back_exactly(tmp_path):
    model = few_levels()
    packing = fr_keras.save_archive(model, tmp_path / "m.fr", kernel_error=0.01)
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    for name in ("conv", "depthwise", "einsum"):
        before, after = (one.get_layer(name).kernel.numpy() for one in (model, loaded))
        assert before.tobytes() == after.tobytes(), name
    rows = {row.name: row for row in packing.layers}
    assert [rows[name].levels for name in ("conv", "depthwise", "einsum")] == [(3,), (2,), (16,)]
    assert (rows["logits"].levels, len(rows["logits"].steps)) == ((), 1)
    assert "3 levels" in str(packing)
    assert packing.to_dict()["layers"][0]["levels"] == list(packing.layers[0].levels)
    residuals = {k: v for row in packing.layers for k, v in row.residuals.items()}
    assert residuals["einsum/kernel"] == 0 < residuals["logits/kernel"]
    # log2(3) bits for each of 108 numbers, and 33 for the levels.
    assert rows["conv"].bytes < (1.1 * 1.585 * 108 + 40) / 8 + 6 * 4
    fr_keras.save_archive(loaded, tmp_path / "again.fr", kernel_error=0.01)
    assert (tmp_path / "again.fr").read_bytes() == (tmp_path / "m.fr").read_bytes()


@tensorflow_alone("it converts")
def test_the_skeleton_of_a_network_of_few_levels(tmp_path):
    fr_keras.save_archive(few_levels(), tmp_path / "m.fr", skeleton={"calibration": X})
    archive = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    loaded = fr_keras.load_archive(tmp_path / "m.fr")
    assert fr_archive.expand(archive) == (
        tflite.convert(loaded, quantize="int8", calibration=X).content
    )
    assert by_the_page(archive) == fr_archive.expand(archive)


@pytest.mark.parametrize(
    ("values", "error", "form"),
    [
        (np.arange(18) % 16 + 0.1, 0.01, Kernel),  # 64 bytes of levels for 18 numbers
        (np.arange(17).repeat(100), 0.001, Kernel),  # one too many
        (np.arange(16).repeat(100) ** 1.5, 0.001, Codebook),
        (np.arange(16).repeat(100) ** 1.5, 1, Kernel),  # next to nothing is left
        (np.random.default_rng(0).normal(size=9000) * (np.arange(9000) % 9 > 4), 0.3, Codebook),
        (np.random.default_rng(0).normal(size=9000), 0.01, Kernel),
        (np.float32([-0.0, 0.0, 0.1] * 90), 0.001, Codebook),
    ],
)
def test_the_smaller_form_is_taken(values, error, form):
    values = np.float32(values)[: len(values) // 9 * 9]
    found = quantize_kernel(values, 9, error)
    assert type(found) is form
    size = kernel_size(found)
    for other in (_in_levels(values, 9), _in_steps(values, 9, error)):
        assert other is None or kernel_size(other) >= size or form is Codebook
    difference = np.sqrt(np.mean(np.square(found.reals() - values)))
    assert difference <= 1.05 * error * np.sqrt(np.mean(np.square(values)))
    again = quantize_kernel(found.reals(), 9, error)
    assert again == found


def test_a_column_of_zeros_costs_next_to_nothing():
    random = np.random.default_rng(2)
    ternary = random.choice([-1, 0, 1], (1000, 20))
    whole = kernel_size(Codebook(ternary.ravel() + 1, (-1, 0, 1), 20))
    assert whole == pytest.approx(20_000 * np.log2(3) / 8, rel=0.02)
    ternary[:, ::2] = 0
    half = kernel_size(Codebook(ternary.ravel() + 1, (-1, 0, 1), 20))
    assert half == pytest.approx(10_000 * np.log2(3) / 8, rel=0.1)


@pytest.mark.parametrize(
    ("values", "levels", "columns", "message"),
    [
        ((0,), (), 1, "`levels` must be 1 to 16"),
        ((0,), range(17), 1, "`levels` must be 1 to 16"),
        ((0,), (1, 1), 1, "in ascending order"),
        ((0,), (2, 1), 1, "in ascending order"),
        ((0,), (0, np.inf), 1, "finite"),
        ((0,), (0, 1e39), 1, "finite"),
        ((0,), (np.nan,), 1, "finite"),
        ((0,), (1, 1 + 1e-9), 1, "of float32"),
        ((2,), (0, 1), 1, "`values` must lie between 0 and 1"),
        ((-1,), (0, 1), 1, "`values` must lie between 0 and 1"),
        ((0, 1), (0, 1), 3, "rows of 3 columns"),
        ((0, 1), (0, 1), 0, "`columns` must lie between 1"),
    ],
)
def test_codebooks_that_are_refused(values, levels, columns, message):
    with pytest.raises(ArchiveError, match=message):
        Codebook(values, levels, columns)


def test_zero_has_one_sign():
    assert str(Codebook((0,), (-0.0, 1), 1).levels[0]) == "0.0"


def test_a_file_of_the_first_version_opens(tmp_path):
    """There, plain kernels are cut into vectors."""
    model = plain()
    fr_keras.save_archive(model, tmp_path / "m.fr")
    second = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    vectors = [
        quantize_vector(part, 1e-4, weight.is_statistic("variance"))
        for weight in weights(model)
        for part in weight.cut(weight.values())
    ]
    data = fr_archive.encode(Archive(second.architecture, [], vectors))
    assert data[3] == 1
    (tmp_path / "old.fr").write_bytes(data)
    loaded = fr_keras.load_archive(tmp_path / "old.fr")
    assert relative_difference(model(X), loaded(X)) < 0.01
    row = next(row for row in fr_keras.archive.inspect(tmp_path / "old.fr").layers)
    assert row.kernel_numbers == 0
    assert row.vector_numbers > 0


def test_shapes_that_do_not_fit_are_refused_before_a_model_is_built(tmp_path, monkeypatch):
    fr_keras.save_archive(plain(), tmp_path / "m.fr")
    held = fr_archive.decode((tmp_path / "m.fr").read_bytes())
    monkeypatch.setattr("fr_keras.archive._load.build", lambda *_: pytest.fail("built"))
    first, *others = held.kernels
    turned = Kernel(first.values, first.step, len(first.values) // first.columns)
    for kernels in (others, [*held.kernels, first], [turned, *others], [*others, first]):
        data = fr_archive.encode(
            Archive(held.architecture, held.tensors, held.vectors, kernels=kernels)
        )
        (tmp_path / "bad.fr").write_bytes(data)
        with pytest.raises(ArchiveError, match="must hold kernels in space of the shapes"):
            fr_keras.load_archive(tmp_path / "bad.fr")


def section(number: int, *rows: tuple[int, int, int, int]) -> bytes:
    """A section of kernels that has only its table."""
    encoder, table = Encoder(), _Table()
    table.number.magnitude(encoder, number)
    for height, columns, step, form in rows:
        table.rows.signed(encoder, height)
        table.columns.signed(encoder, columns)
        table.step.signed(encoder, step)
        table.form.magnitude(encoder, form)
    return encoder.finish()


def levels_section(count: int, mirrored: int, *levels: float) -> bytes:
    """A section of a kernel without rows that has these levels."""
    encoder, table = Encoder(), _Table()
    table.number.magnitude(encoder, 1)
    for numbers, number in ((table.rows, 0), (table.columns, 1), (table.step, 0)):
        numbers.signed(encoder, number)
    table.form.magnitude(encoder, count)
    encoder.bit(HALF, mirrored)
    for level in levels:
        for bit in f"{int.from_bytes(np.array(level, '>f4').tobytes()):032b}":
            encoder.bit(HALF, int(bit))
    return encoder.finish()


def signs_section(seed: int, size: int, scale: float) -> bytes:
    """A section of a kernel of signs in one column."""
    encoder, table = Encoder(), _Table()
    table.number.magnitude(encoder, 1)
    for numbers, number in ((table.rows, size), (table.columns, 1), (table.step, 0)):
        numbers.signed(encoder, number)
    table.form.magnitude(encoder, 17)
    unsigned(encoder, 64, seed)
    real(encoder, scale)
    return encoder.finish()


NO_SCALES = (0.0, -0.0, -1.0, np.nan, np.inf, -np.inf)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (section(0), "1 to 4096 kernels, not 0"),
        (section(4097), "1 to 4096 kernels, not 4097"),
        (section(1, (-1, 1, 0, 0)), "at least 0 rows"),
        (section(1, (1, 0, 0, 0)), "at least 0 rows"),
        (section(1, (1, -3, 0, 0)), "at least 0 rows"),
        (section(1, (1, 1, 600, 0)), "at least 0 rows"),
        (section(1, (1, 1, 0, 18)), "a form up to 17"),
        (section(1, (1, 1, 3, 2)), "no step of its own"),
        (section(2, (1, 1, 3, 0), (0, 0, 1, 2)), "no step of its own"),
        (section(2, (1, 1, 3, 0), (0, 0, 1, 17)), "no step of its own"),
        *((signs_section(9, 1, scale), "The scale of signs must be") for scale in NO_SCALES),
        (signs_section(9, 1, 0.5)[:12], "ends too early|must end here"),
        (signs_section(9, 1, 0.5) + b"\1", "must end here"),
        (section(1, (1, (1 << 24) + 1, 0, 17)), "16777216 with signs of seeds"),
        (section(1, (0, (1 << 24) + 1, 0, 17)), "16777216 with signs of seeds"),
        (section(2, (1, 1 << 24, 0, 17), (0, 1 - (1 << 24), 0, 0)), "not 1 and 16777217"),
        (section(2, (1, 1, 0, 17), (0, (1 << 17) - 1, 0, 0)), "not 131072 and 131073"),
        (levels_section(1, 0, np.nan), "Levels must"),
        (levels_section(2, 0, 1, np.inf), "Levels must"),
        (levels_section(2, 0, -np.inf, 1), "Levels must"),
        (levels_section(2, 0, 1, 1), "Levels must"),
        (levels_section(3, 0, 1, 3, 2), "Levels must"),
        (levels_section(2, 0, -0.0, 1), "Levels must"),
        (levels_section(2, 0, -1, -0.0), "Levels must"),
        (levels_section(1, 0, 0), "Levels must"),  # not said to be mirrored, but is
        (levels_section(2, 0, -1, 1), "Levels must"),
        (levels_section(3, 0, -1, 0, 1), "Levels must"),
        (levels_section(2, 1, 0), "Levels must"),
        (levels_section(2, 1, -1), "Levels must"),
        (levels_section(3, 1, -0.0), "Levels must"),
        (levels_section(4, 1, 2, 2), "Levels must"),
        (levels_section(4, 1, 2, np.inf), "Levels must"),
        (section(1, (1 << 20, 1 << 20, 0, 0)), "may hold at most"),
        (section(1, (0, 1 << 30, 0, 0)), "may hold at most"),  # an empty kernel of many columns
        (section(2, (1, 1 << 15, 0, 0), (0, 1 << 15, 0, 0)), "may hold at most"),
        (b"", "ends too early|1 to 4096 kernels"),
    ],
)
def test_hostile_sections(payload, message):
    with pytest.raises(ArchiveError, match=message):
        fr_archive.decode(with_kernels(payload))


def with_kernels(payload: bytes) -> bytes:
    parts = fr_archive.encode(Archive(Reference("net"), []))
    sections = {
        kind: parts[one.start : one.start + one.size] for kind, one in container.read(parts).items()
    }
    return container.write({**sections, Kind.KERNELS: payload})


@pytest.mark.parametrize("payload", [levels_section(3, 1, 2), levels_section(2, 0, -1, 2)])
def test_levels_alone_are_read(payload):
    encoder = fr_archive.decode(with_kernels(payload))
    assert encoder.kernels[0].values == ()
    assert encoder.kernels[0].levels in [(-2, 0, 2), (-1, 2)]


def test_signs_cost_the_seed_and_the_scale():
    assert kernel_size(Signs(2**64 - 1, 0.1, 1 << 20, 1 << 10)) <= 12 + 8
    read = fr_archive.decode(with_kernels(signs_section(2**64 - 1, 70, 0.1))).kernels
    assert read == (Signs(2**64 - 1, 0.1, 70, 1),)
    words = np.random.Philox(key=2**64 - 1).random_raw(2).tolist()
    expected = [0.1 if words[i // 64] >> i % 64 & 1 else -0.1 for i in range(70)]
    np.testing.assert_array_equal(read[0].reals(), np.float32(expected))


def test_as_many_signs_as_the_format_allows_are_read():
    """A kernel without rows counts as one with a row."""
    kernels = (
        Signs(3, 0.5, (1 << 24) - (1 << 17) - 9, 1),
        Signs(4, 0.5, 0, 1 << 17),
        Kernel((1, -1, 1), 0, 3),
        Signs(3, 0.5, 6, 3),
    )
    data = fr_archive.encode(Archive(Reference("net"), [], kernels=kernels))
    assert len(data) < 100
    assert fr_archive.decode(data).kernels == kernels
    for more, message in (
        (Signs(3, 0.5, 1, 1), "16777216 numbers in them"),
        (Kernel((1,), 0, 1), "16777216 numbers in them"),
    ):
        with pytest.raises(ArchiveError, match=message):
            fr_archive.encode(Archive(Reference("net"), [], kernels=(*kernels, more)))
    # Signs do not pay for the zeros of others.
    zeros = Kernel((0,) * (1 << 17), 0, 1 << 10)
    with pytest.raises(ArchiveError, match=r"nearly all of these are 0.*Received: 131072"):
        fr_archive.encode(Archive(Reference("net"), [], kernels=[kernels[3], zeros]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 1, 4, 2), r"`seed` must be from 0 to 2\^64 - 1. Received: -1"),
        ((1 << 64, 1, 4, 2), "`seed` must be from 0"),
        *(((1, scale, 4, 2), "`scale` must be a number above 0") for scale in NO_SCALES),
        ((1, 1e-46, 4, 2), "`scale` must be a number above 0"),
        ((1, 1e39, 4, 2), "`scale` must be a number above 0"),
        ((1, 1, 4, 0), "`columns` must lie between 1"),
        ((1, 1, -2, 2), "`size` must be rows of 2 columns. Received: -2"),
        ((1, 1, 3, 2), "`size` must be rows of 2 columns. Received: 3"),
    ],
)
def test_signs_that_are_refused(arguments, message):
    with pytest.raises(ArchiveError, match=message):
        Signs(*arguments)


def test_many_zeros_are_refused_by_the_writer():
    zeros = Kernel((0,) * (1 << 17), 0, 1 << 10)
    with pytest.raises(ArchiveError, match="nearly all of these are 0"):
        fr_archive.encode(Archive(Reference("net"), [], kernels=[zeros]))
    with pytest.raises(ArchiveError, match="rows of 3 columns"):
        Kernel((1, 2), 0, 3)


def test_a_search_finds_errors_of_kernels(tmp_path):
    model = plain()
    y = keras.ops.convert_to_numpy(model(X)).argmax(-1)
    found = fr_keras.archive.search(model, X, y, max_drop=0.2, minutes=0.02)
    assert {*found.kernel_error} == {"conv", "depthwise", "einsum", "logits"}
    rounding = {"step": found.step, "error": found.error, "kernel_error": found.kernel_error}
    assert fr_keras.save_archive(model, tmp_path / "m.fr", **rounding).bytes == found.bytes
