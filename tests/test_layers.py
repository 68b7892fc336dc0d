"""The conformance suite: every row of `layer_cases` against the plain layer and Keras' rules."""

import keras
import numpy as np
import pytest
from backends import compiled, not_under
from layer_cases import BY_KIND, CASES
from networks import bfloat16, relative_difference

from fr_keras import layers, spectral, zigzag

PLAIN = {twin: plain for plain, twin in layers.TWINS.items()}
KEPT = 9

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
# What TensorFlow traces or compiles, and what files hold, is that of the kind; the others are slow.
each_kind = pytest.mark.parametrize("case", BY_KIND, ids=lambda case: case.id)


def test_every_layer_has_a_case():
    assert {case.cls for case in CASES} == set(layers.TWINS.values())


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def model_of(case, **kwargs):
    return case.model(case.layer(name="layer", **kwargs))


def truncate(layer):
    for part in layer.parts():
        part.truncate(KEPT)


def mask_of(part):
    return zigzag.mask(tuple(part.coefficients.shape), KEPT, part.axis_weights)


def plain_twin(layer, case):
    """The oracle: the plain Keras layer with the kernels that the FR layer rebuilds."""
    plain = PLAIN[type(layer)].from_config(layer.plain_config())
    case.call(plain, case.inputs())
    layer.fill_plain(plain)
    return plain


def kernels_of(plain):
    return [weight for weight in plain.weights if "bias" not in weight.name]


@each_case
def test_equals_the_plain_layer_with_the_baked_kernel(case):
    layer, x = case.built(), case.inputs()
    truncate(layer)
    for weight in layer.weights:
        if "bias" in weight.name:
            weight.assign(np.random.default_rng(2).normal(size=weight.shape))
    plain = plain_twin(layer, case)
    y = as_numpy(case.call(layer, x))
    assert relative_difference(as_numpy(case.call(plain, x)), y) < 2e-6
    for kernel in kernels_of(plain):
        kernel.assign(kernel * 0.5)
        # A key's scale hardly moves a softmax: a thousandth is far above the rounding.
        assert relative_difference(as_numpy(case.call(plain, x)), y) > 1e-3, kernel.path
        kernel.assign(kernel * 2)


@each_case
def test_kernel_is_the_inverse_dct_of_the_kept_coefficients(case):
    for layer in case.built().parts():
        values = np.random.default_rng(1).normal(size=layer.coefficients.shape).astype(np.float32)
        layer.set_coefficients(values)
        layer.truncate(KEPT)
        masked = values * mask_of(layer)
        expected = as_numpy(spectral.idct_nd(masked)).reshape(layer.kernel.shape)
        assert np.abs(as_numpy(layer.kernel) - expected).max() < 1e-6
        assert layer.corner == tuple(np.argwhere(masked).max(axis=0) + 1)


@each_case
def test_initial_kernels_are_what_the_initializers_give(case):
    """The same seeds give the same kernels as the plain layer's, to float32 rounding."""
    names = [name for name in case.layer().get_config() if name.endswith("_initializer")]
    seeded = {name: keras.initializers.HeNormal(seed=3) for name in names if "bias" not in name}
    layer = case.built(**seeded)
    plain = PLAIN[case.cls].from_config(layer.plain_config())
    case.call(plain, case.inputs())
    given = [as_numpy(kernel) for kernel in kernels_of(plain)]
    layer.fill_plain(plain)
    if "Attention" in case.cls.__name__:  # Keras draws a new seed for each projection
        return
    for before, after in zip(given, kernels_of(plain), strict=True):
        assert np.abs(before - as_numpy(after)).max() < 1e-6


@each_case
def test_loading_a_plain_layer_and_filling_it_again(case):
    layer = case.built()
    plain = plain_twin(layer, case)
    values = [np.random.default_rng(4).normal(size=w.shape) for w in plain.weights]
    plain.set_weights(values)
    layer.load_plain(plain)
    again = plain_twin(layer, case)
    for value, weight in zip(values, again.get_weights(), strict=True):
        assert np.abs(value - weight).max() < 1e-6


@each_case
def test_config_round_trip(case):
    layer = case.layer(name="layer")
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    plain = PLAIN[case.cls].from_config(layer.plain_config())
    assert plain.get_config().keys() == layer.plain_config().keys()


@each_kind
def test_keras_file_round_trip_by_value(case, tmp_path):
    model = model_of(case)
    layer = model.get_layer("layer")
    truncate(layer)
    for part in layer.parts():
        part.plan(start=part.truncation["start"], target=5, epochs=3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("layer")
    assert type(again) is case.cls
    for part, other in zip(layer.parts(), again.parts(), strict=True):
        assert other.truncation == part.truncation
        assert np.array_equal(as_numpy(part.kernel), as_numpy(other.kernel))
    for weight, other in zip(layer.weights, again.weights, strict=True):
        assert np.array_equal(as_numpy(weight), as_numpy(other)), weight.path


@each_kind
def test_weights_file_round_trip_by_value(case, tmp_path):
    model, other = model_of(case), model_of(case)
    truncate(model.get_layer("layer"))
    model.save_weights(tmp_path / "some.weights.h5")
    other.load_weights(tmp_path / "some.weights.h5")
    x = case.inputs()
    assert {part.kept for part in other.get_layer("layer").parts()} == {KEPT}
    assert np.array_equal(as_numpy(model(x)), as_numpy(other(x)))


@each_kind
def test_symbolic_eager_and_jit_agree(case):
    model, x = model_of(case), case.inputs()
    truncate(model.get_layer("layer"))
    eager = as_numpy(model(x))
    assert model.output_shape == (None, *eager.shape[1:])
    graph = model.predict(x, verbose=0)
    assert relative_difference(eager, graph) < 1e-5
    jit = compiled(model)(keras.ops.convert_to_tensor(x))
    assert relative_difference(eager, jit) < 1e-5


@pytest.mark.usefixtures("stepwise")
@each_kind
def test_fit_moves_kept_coefficients_only(case):
    model, x = model_of(case), case.inputs(8)
    layer = model.get_layer("layer")
    truncate(layer)
    before = [as_numpy(part.coefficients).copy() for part in layer.parts()]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, np.ones((8, *model.output_shape[1:])), epochs=2, verbose=0)
    for part, start in zip(layer.parts(), before, strict=True):
        moved = as_numpy(part.coefficients) != start
        assert moved[mask_of(part)].any()
        assert not moved[~mask_of(part)].any()


@each_case
def test_value_ignores_what_was_cut(case):
    """Momentum goes on moving coefficients that were cut: the kernel must not see it."""
    layer = case.built()
    truncate(layer)
    for part in layer.parts():
        before = as_numpy(part.kernel).copy()
        mask = mask_of(part)
        part.coefficients.assign(as_numpy(part.coefficients) + np.where(mask, 0, 7.0))
        assert np.array_equal(as_numpy(part.kernel), before)
        part.coefficients.assign(as_numpy(part.coefficients) + np.where(mask, 7.0, 0))
        assert not np.array_equal(as_numpy(part.kernel), before)


@each_kind
@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=(bfloat16, pytest.mark.slow)),
        pytest.param("bfloat16", marks=bfloat16),
    ],
)
def test_half_precision_transforms_in_float32(case, policy):
    layer, x = case.built(dtype=policy), case.inputs()
    truncate(layer)
    full = case.built()
    full.set_weights(layer.get_weights())
    for part, exact in zip(layer.parts(), full.parts(), strict=True):
        assert part.coefficients.dtype == "float32"
        rounded = keras.ops.cast(exact.kernel, layer.compute_dtype)
        assert np.array_equal(as_numpy(part.kernel), as_numpy(rounded))
    out = case.call(layer, x)
    assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
    step = 2.0**-10 if policy == "mixed_float16" else 2.0**-7  # one unit in the last place
    exact = as_numpy(case.call(full, x))
    assert relative_difference(exact, keras.ops.cast(out, "float32")) < 6 * step


@each_case
def test_what_a_subclass_would_break_raises(case):
    for part in case.built().parts():
        with pytest.raises(NotImplementedError, match="bake"):
            part.quantize("int8")
        with pytest.raises(NotImplementedError, match="bake"):
            part.enable_lora(2)


def arguments_of(case, kind):
    """The arguments for kernels, such as `depthwise_regularizer`."""
    names = [name for name in case.layer().get_config() if name.endswith(f"_{kind}")]
    return [name for name in names if "bias" not in name and "activity" not in name]


@each_case
def test_l2_is_the_same_on_kernel_and_coefficients(case):
    l2 = {name: keras.regularizers.L2(0.1) for name in arguments_of(case, "regularizer")}
    layer = case.built(**l2)
    truncate(layer)
    for part in layer.parts():  # what momentum moved beyond the cut counts for nothing
        part.coefficients.assign(part.coefficients + np.where(mask_of(part), 0, 7.0))
    penalty = sum(0.1 * np.sum(np.square(as_numpy(part.kernel))) for part in layer.parts())
    assert as_numpy(sum(layer.losses)) == pytest.approx(penalty, rel=1e-5)


@each_case
def test_what_has_no_meaning_on_coefficients_is_refused(case):
    for kind, value in (
        ("regularizer", keras.regularizers.L1(0.1)),
        ("regularizer", keras.regularizers.L1L2(0.1, 0.1)),
        ("constraint", keras.constraints.NonNeg()),
    ):
        for name in arguments_of(case, kind):
            with pytest.raises(ValueError, match=name):
                case.layer(**{name: value})


def test_lora_and_quantized_policies_are_refused():
    with pytest.raises(ValueError, match="lora_rank"):
        layers.FRDense(4, lora_rank=2)
    with pytest.raises(ValueError, match="quantized policy"):
        layers.FRDense(4, dtype="int8_from_float32")


def test_truncate_refuses_to_grow_and_bad_counts():
    layer = layers.FRDense(4)
    layer.build((None, 5))
    layer.truncate(7)
    for kept in (8, 0, -1, 2.5):
        with pytest.raises(ValueError, match="`kept`"):
            layer.truncate(kept)
    assert layer.kept == 7


def test_set_coefficients_checks_and_masks():
    layer = layers.FRDense(4)
    layer.build((None, 5))
    layer.truncate(7)
    with pytest.raises(ValueError, match=r"`values` must have the shape \(5, 4\)"):
        layer.set_coefficients(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"`values`.*finite.*1 NaN"):
        layer.set_coefficients(np.where(np.eye(5, 4) * [1, 0, 0, 0], np.nan, 0))
    with pytest.raises(ValueError, match=r"`kernel` must have the shape .* of the kernel of layer"):
        layer.set_kernel(np.zeros((4, 5)))
    layer.set_coefficients(np.ones((5, 4)))
    assert as_numpy(layer.coefficients).sum() == 7


def test_kernel_cannot_be_assigned():
    layer = layers.FRConv2DTranspose(4, 2)
    layer.build((None, 5, 5, 3))
    with pytest.raises(AttributeError, match="set_kernel"):
        layer.kernel = np.zeros((2, 2, 4, 3))


def test_input_axes_must_fit():
    layer = layers.FRDense(4, input_axes=(2, 3))
    with pytest.raises(ValueError, match="`input_axes` must multiply to the 7 inputs"):
        layer.build((None, 7))


def test_axis_weights_must_fit():
    layer = layers.FRDense(4, axis_weights=(1, 2, 3))
    with pytest.raises(ValueError, match="`weights` must hold 2"):
        layer.build((None, 7))


@not_under("torch", "its own error hides ours")
def test_unbuilt_kernel_is_an_attribute_error():
    with pytest.raises(AttributeError, match="build the layer"):
        _ = layers.FRDense(4).kernel
