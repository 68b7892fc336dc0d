"""The conformance suite: every row of `layer_cases` against the plain layer and Keras' rules."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import CASES
from networks import relative_difference

from fr_keras import layers, spectral, zigzag

PLAIN = {twin: plain for plain, twin in layers.TWINS.items()}
KEPT = 9

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def test_every_layer_has_a_case():
    assert {case.cls for case in CASES} == set(layers.TWINS.values())


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def model_of(case, **kwargs):
    return keras.Sequential([keras.Input(case.input_shape), case.layer(name="layer", **kwargs)])


def plain_with_kernel(layer, case):
    """The oracle: the plain Keras layer with the kernel that the FR layer rebuilds."""
    plain = PLAIN[type(layer)].from_config(layer.plain_config())
    plain.build((None, *case.input_shape))
    plain.kernel.assign(layer.kernel)
    if layer.use_bias:
        plain.bias.assign(layer.bias)
    return plain


@each_case
def test_equals_the_plain_layer_with_the_baked_kernel(case):
    layer, x = case.built(), case.inputs()
    layer.truncate(KEPT)
    if layer.use_bias:
        layer.bias.assign(np.arange(np.prod(layer.bias.shape), dtype="float32"))
    plain = plain_with_kernel(layer, case)
    assert relative_difference(as_numpy(plain(x)), as_numpy(layer(x))) < 1e-6
    plain.kernel.assign(plain.kernel * 0.5)
    assert relative_difference(as_numpy(plain(x)), as_numpy(layer(x))) > 1e-2


@each_case
def test_kernel_is_the_inverse_dct_of_the_kept_coefficients(case):
    layer = case.built()
    shape = layer.coefficients.shape
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layer.set_coefficients(values)
    layer.truncate(KEPT)
    masked = values * zigzag.mask(shape, KEPT, layer.axis_weights)
    expected = as_numpy(spectral.idct_nd(masked)).reshape(layer.kernel.shape)
    assert np.abs(as_numpy(layer.kernel) - expected).max() < 1e-6
    assert layer.corner == tuple(np.argwhere(masked).max(axis=0) + 1)


@each_case
def test_initial_kernel_is_what_the_initializer_gives(case):
    """The same seed gives the same kernel as the plain layer's, to float32 rounding."""
    seeded = {
        ("depthwise" if "Depthwise" in case.cls.__name__ else "kernel")
        + "_initializer": keras.initializers.HeNormal(seed=3)
    }
    layer = case.built(**seeded)
    plain = PLAIN[case.cls].from_config(layer.plain_config())
    plain.build((None, *case.input_shape))
    assert np.abs(as_numpy(layer.kernel) - as_numpy(plain.kernel)).max() < 1e-6


@each_case
def test_config_round_trip(case):
    layer = case.layer(name="layer")
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    plain = PLAIN[case.cls].from_config(layer.plain_config())
    assert plain.get_config().keys() == layer.plain_config().keys()


@each_case
def test_keras_file_round_trip_by_value(case, tmp_path):
    model = model_of(case)
    layer = model.get_layer("layer")
    layer.truncate(KEPT)
    layer.plan(start=layer.truncation["start"], target=5, epochs=3)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("layer")
    assert type(again) is case.cls
    assert again.truncation == layer.truncation
    for weight, other in zip(layer.weights, again.weights, strict=True):
        assert np.array_equal(as_numpy(weight), as_numpy(other)), weight.path
    assert np.array_equal(as_numpy(layer.kernel), as_numpy(again.kernel))


@each_case
def test_weights_file_round_trip_by_value(case, tmp_path):
    model, other = model_of(case), model_of(case)
    model.get_layer("layer").truncate(KEPT)
    model.save_weights(tmp_path / "some.weights.h5")
    other.load_weights(tmp_path / "some.weights.h5")
    x = case.inputs()
    assert other.get_layer("layer").kept == KEPT
    assert np.array_equal(as_numpy(model(x)), as_numpy(other(x)))


@each_case
def test_symbolic_eager_and_jit_agree(case):
    model, x = model_of(case), case.inputs()
    model.get_layer("layer").truncate(KEPT)
    eager = as_numpy(model(x))
    assert model.output_shape == (None, *eager.shape[1:])
    assert tuple(model.get_layer("layer").compute_output_shape(x.shape)) == eager.shape
    graph = tf.function(model)(x)
    assert relative_difference(eager, graph) < 1e-5
    jit = tf.function(model, jit_compile=True)(x)
    assert relative_difference(eager, jit) < 1e-5


@each_case
def test_fit_moves_kept_coefficients_only(case):
    model, x = model_of(case), case.inputs(8)
    layer = model.get_layer("layer")
    layer.truncate(KEPT)
    before = as_numpy(layer.coefficients).copy()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, np.ones((8, *model.output_shape[1:])), epochs=2, verbose=0)
    mask = zigzag.mask(before.shape, KEPT, layer.axis_weights)
    moved = as_numpy(layer.coefficients) != before
    assert moved[mask].any()
    assert not moved[~mask].any()


@each_case
def test_value_ignores_what_was_cut(case):
    """Momentum goes on moving coefficients that were cut: the kernel must not see it."""
    layer = case.built()
    layer.truncate(KEPT)
    before = as_numpy(layer.kernel).copy()
    mask = zigzag.mask(layer.coefficients.shape, KEPT, layer.axis_weights)
    layer.coefficients.assign(as_numpy(layer.coefficients) + np.where(mask, 0, 7.0))
    assert np.array_equal(as_numpy(layer.kernel), before)
    layer.coefficients.assign(as_numpy(layer.coefficients) + np.where(mask, 7.0, 0))
    assert not np.array_equal(as_numpy(layer.kernel), before)


@each_case
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_transforms_in_float32(case, policy):
    layer, x = case.built(dtype=policy), case.inputs()
    layer.truncate(KEPT)
    assert layer.coefficients.dtype == "float32"
    full = case.built()
    full.set_weights(layer.get_weights())
    exact = as_numpy(full.kernel)
    rounded = keras.ops.cast(exact, layer.compute_dtype)
    assert np.array_equal(as_numpy(layer.kernel), as_numpy(rounded))
    out = layer(x)
    assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
    step = 2.0**-7 if policy == "mixed_bfloat16" else 2.0**-10  # one unit in the last place
    assert relative_difference(as_numpy(full(x)), keras.ops.cast(out, "float32")) < 4 * step


@each_case
def test_what_a_subclass_would_break_raises(case):
    layer = case.built()
    with pytest.raises(NotImplementedError, match="bake"):
        layer.quantize("int8")
    with pytest.raises(NotImplementedError, match="bake"):
        layer.enable_lora(2)


def prefix(case):
    return "depthwise" if "Depthwise" in case.cls.__name__ else "kernel"


@each_case
def test_l2_is_the_same_on_kernel_and_coefficients(case):
    layer = case.built(**{f"{prefix(case)}_regularizer": keras.regularizers.L2(0.1)})
    penalty = 0.1 * np.sum(np.square(as_numpy(layer.kernel)))
    assert float(layer.losses[0]) == pytest.approx(penalty, rel=1e-5)


@each_case
def test_what_has_no_meaning_on_coefficients_is_refused(case):
    for argument, value in (
        ("regularizer", keras.regularizers.L1(0.1)),
        ("regularizer", keras.regularizers.L1L2(0.1, 0.1)),
        ("constraint", keras.constraints.NonNeg()),
    ):
        with pytest.raises(ValueError, match=f"{prefix(case)}_{argument}"):
            case.layer(**{f"{prefix(case)}_{argument}": value})


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
    with pytest.raises(ValueError, match="`kernel` must have the kernel shape"):
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


def test_unbuilt_kernel_is_an_attribute_error():
    with pytest.raises(AttributeError, match="build the layer"):
        _ = layers.FRDense(4).kernel
