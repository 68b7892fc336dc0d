"""Layers of a user's own: with a twin they do all that Keras' layers do here."""

import keras
import numpy as np
import pytest
from backends import tensorflow_alone
from examples import telling
from networks import relative_difference

import fr_archive
from fr_archive import ArchiveError
from fr_keras import (
    bake,
    compact,
    layers,
    load_archive,
    register_twin,
    regularize,
    save_archive,
    summary,
    tflite,
)
from fr_keras.models.walk import frequency_layers

UNITS = 8
known = keras.saving.register_keras_serializable(package="own_layers")


class Own(keras.layers.Layer):
    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)


@known
class ByText(Own):
    """As most layers of users are written."""

    def build(self, input_shape):
        shape = (input_shape[-1], UNITS)
        self.kernel = self.add_weight(shape=shape, initializer="he_normal", name="kernel")


@known
class ByPosition(Own):
    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], UNITS), "he_normal", name="kernel")


@known
class ByDefault(Own):
    def build(self, input_shape):
        shape = (input_shape[-1], UNITS)
        self.kernel = self.add_weight(shape=shape, regularizer="l2", name="kernel")


@known
class Frozen(Own):
    def build(self, input_shape):
        shape = (input_shape[-1], UNITS)
        self.kernel = self.add_weight(shape=shape, name="kernel", trainable=False)


@known
class MadeAtOnce(Own):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.kernel = self.add_weight(shape=(UNITS, UNITS), name="kernel")

    def get_config(self):
        return super().get_config()


@known
class MoreWeights(keras.layers.Layer):
    """Weights of its own beside the kernel, one that is not trained, and a layer inside."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = keras.layers.Dense(units)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(self.units,), initializer="he_normal", name="scale")
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.offset = self.add_weight(
            shape=(self.units,), initializer="he_normal", name="offset", trainable=False
        )
        self.inner.build((None, self.units))

    def call(self, inputs):
        product = keras.ops.matmul(inputs, self.kernel)
        return self.inner(keras.ops.relu(product * self.scale + self.offset))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@known
class Folded(keras.layers.Layer):
    """The converter folds the scale into the kernel, which then is not the layer's."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], UNITS), name="kernel")
        self.scale = self.add_weight(shape=(UNITS,), name="scale")
        self.bias = self.add_weight(shape=(UNITS,), name="bias")

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel) * self.scale + self.bias


@known
class OtherName(keras.layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], UNITS), name="w")

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.w)


@known
class BehindProperty(keras.layers.Layer):
    """As Keras' own Embedding keeps its table."""

    def build(self, input_shape):
        self._table = self.add_weight(shape=(input_shape[-1], UNITS), name="table")

    @property
    def table(self):
        return self._table

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.table)


@known
class Doubled(keras.layers.Dense):
    """Its bias counts twice: what Keras' Dense may do with a bias is wrong here."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def twin_of(plain: type, **attributes) -> type:
    return known(type(f"FR{plain.__name__}", (layers.FrequencyKernel, plain), attributes))


TWINS = {
    **{one: twin_of(one) for one in (ByText, ByPosition, ByDefault, Frozen, MadeAtOnce)},
    **{one: twin_of(one) for one in (MoreWeights, Folded, Doubled)},
    OtherName: twin_of(OtherName, weight_name="w"),
    BehindProperty: twin_of(BehindProperty, weight_name="table"),
}
ARGUMENTS = {MoreWeights: (UNITS,), Doubled: (UNITS,)}
each_layer = pytest.mark.parametrize(
    "plain",
    telling(TWINS, MoreWeights, Folded, Doubled, BehindProperty),
    ids=lambda one: one.__name__,
)


@pytest.fixture
def registered():
    for pair in TWINS.items():
        register_twin(*pair)


def own_layer(plain: type, **kwargs) -> keras.layers.Layer:
    return plain(*ARGUMENTS.get(plain, ()), **kwargs)


def of_random_weights(model: keras.Model) -> keras.Model:
    """No weight is as an initializer makes it."""
    rng = np.random.default_rng(1)
    model.set_weights([0.4 * rng.normal(size=one.shape) for one in model.get_weights()])
    return model


def one_layer(plain: type) -> keras.Model:
    stack = [keras.Input((UNITS,)), own_layer(plain, name="own"), keras.layers.Dense(3)]
    return of_random_weights(keras.Sequential(stack))


def all_of_them() -> keras.Model:
    """Each once, one of them shared, one in a nested model."""
    x = inputs = keras.Input((UNITS,))
    for plain in TWINS:
        x = keras.layers.Add()([x, own_layer(plain, name=plain.__name__.lower())(x)])
    shared = ByText(name="shared")
    nested = keras.Sequential([keras.Input((UNITS,)), OtherName(name="inner")], name="nested")
    x = keras.layers.Concatenate()([shared(x), shared(nested(x))])
    return of_random_weights(keras.Model(inputs, keras.layers.Dense(3, name="classifier")(x)))


ROWS = np.random.default_rng(0).normal(size=(40, UNITS)).astype(np.float32)


def outputs(model: keras.Model) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(ROWS, training=False))


@each_layer
def test_a_twin_is_the_same_function_until_it_is_cut_and_after(plain, registered, tmp_path):
    model = one_layer(plain)
    before, twin = outputs(model), regularize(model)
    own = twin.get_layer("own")
    assert type(own) is TWINS[plain]
    assert relative_difference(before, outputs(twin)) < 1e-5
    own.set_coefficients(0.5 * own.kept_coefficients())  # the kernel does count
    assert relative_difference(before, outputs(twin)) > 0.05
    own.truncate(11)
    assert np.count_nonzero(own.kept_coefficients()) == 11
    twin.save(tmp_path / "twin.keras")
    loaded = keras.models.load_model(tmp_path / "twin.keras")
    np.testing.assert_array_equal(outputs(twin), outputs(loaded))
    assert relative_difference(outputs(twin), outputs(compact(twin))) < 1e-5
    for form in ("dense", "factored", "auto"):
        baked = bake(twin, form)
        assert type(baked.get_layer("own")) is plain
        assert relative_difference(outputs(twin), outputs(baked)) < 1e-5


@each_layer
def test_a_twin_trains_what_its_plain_layer_trains(plain, registered):
    model = one_layer(plain)
    twin = regularize(model, start=20)
    shapes = [tuple(one.shape) for one in model.trainable_weights]
    assert len(twin.trainable_weights) == len(shapes)
    assert twin.get_layer("own").kept < UNITS * UNITS
    assert summary(model).total("kernel_weights") == summary(twin).total("kernel_weights")
    twin.compile("sgd", "mse")
    before = twin.get_weights()
    twin.fit(ROWS, np.ones((len(ROWS), 3)), verbose=0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, twin.get_weights(), strict=True)]
    assert sum(moved) == len(shapes)


def truncated(model: keras.Model) -> keras.Model:
    twin = regularize(model)
    for part in frequency_layers(twin):
        part.truncate(30 if np.prod(part.spectrum_shape) > 30 else 12)
    return twin


@tensorflow_alone("it converts")
@pytest.mark.parametrize("mode", telling(["float32", "int8"], "int8"))
def test_all_of_them_convert(registered, mode):
    twin = truncated(all_of_them())
    content = tflite.convert(twin, quantize=mode, calibration=ROWS, float_io=True).content
    found = tflite.run(content, ROWS)
    assert relative_difference(outputs(twin), found) < {"float32": 1e-5, "int8": 0.1}[mode]


def test_all_of_them_go_into_an_archive(registered, tmp_path):
    twin = truncated(all_of_them())
    first, second = tmp_path / "first.fr", tmp_path / "second.fr"
    save_archive(twin, first, step=1e-5, error=1e-5, kernel_error=1e-5)
    loaded = load_archive(first)
    assert [type(one) for one in loaded.layers] == [type(one) for one in twin.layers]
    assert relative_difference(outputs(twin), outputs(loaded)) < 1e-3
    save_archive(loaded, second, step=1e-5, error=1e-5, kernel_error=1e-5)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
@tensorflow_alone("it converts")
def test_the_archive_makes_their_int8_file(registered, tmp_path):
    save_archive(truncated(all_of_them()), tmp_path / "m.fr", skeleton={"calibration": ROWS})
    expanded = fr_archive.expand(fr_archive.decode((tmp_path / "m.fr").read_bytes()))
    loaded = load_archive(tmp_path / "m.fr")
    assert expanded == tflite.convert(loaded, quantize="int8", calibration=ROWS).content


@pytest.mark.slow
def test_a_layer_that_was_left_plain_goes_along(registered, tmp_path):
    twin = regularize(all_of_them(), exclude=["moreweights", "shared"])
    save_archive(twin, tmp_path / "m.fr", step=1e-5, error=1e-5, kernel_error=1e-5)
    loaded = load_archive(tmp_path / "m.fr")
    assert type(loaded.get_layer("shared")) is ByText
    assert relative_difference(outputs(twin), outputs(loaded)) < 1e-3


def test_a_bias_moves_into_no_statistics_where_it_counts_otherwise(registered, tmp_path):
    stack = [keras.Input((UNITS,)), Doubled(UNITS), keras.layers.BatchNormalization()]
    twin = regularize(keras.Sequential(stack))
    twin.layers[0].bias.assign(np.linspace(-1, 1, UNITS))
    save_archive(twin, tmp_path / "m.fr", step=1e-5, error=1e-5, kernel_error=1e-5)
    assert relative_difference(outputs(twin), outputs(load_archive(tmp_path / "m.fr"))) < 1e-3


def test_an_archive_opens_where_its_layers_are_registered(registered, tmp_path):
    save_archive(regularize(one_layer(ByText)), tmp_path / "m.fr")
    layers.TWINS.pop(ByText)
    message = "Received: 'own_layers>FRByText': register it with fr_keras.register_twin"
    with pytest.raises(ArchiveError, match=message):
        load_archive(tmp_path / "m.fr")


def test_without_a_name_in_keras_there_is_none_in_an_archive(tmp_path):
    class Nameless(ByText):
        pass

    class FRNameless(layers.FrequencyKernel, Nameless):
        pass

    register_twin(Nameless, FRNameless)
    twin = regularize(keras.Sequential([keras.Input((UNITS,)), Nameless()]))
    with pytest.raises(ArchiveError, match="register_keras_serializable"):
        save_archive(twin, tmp_path / "m.fr")


# What cannot be


def build_of(attribute="kernel", times=1, **arguments):
    def build(self, input_shape):
        for _ in range(times):
            given = {"shape": (input_shape[-1], UNITS), "name": "kernel", **arguments}
            setattr(self, attribute, self.add_weight(**given))

    return build


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (build_of(name=None), r"cannot be converted; .*`weight_name` .* Received: 'kernel'"),
        (build_of("w"), r"cannot be converted; .*`weight_name` .* Received: 'kernel'"),
        (build_of("w", name="w"), r"cannot be converted; .*`weight_name` .* Received: 'kernel'"),
        (build_of(times=2), "`weight_name` must name only one weight of layer 'own'"),
        (build_of(constraint="non_neg"), "`constraint` of the weight 'kernel' that layer 'own'"),
        (build_of(regularizer="l1"), "`regularizer` of the weight 'kernel' that layer 'own'"),
        (build_of(shape=()), "`shape` of the weight 'kernel' that layer 'own'"),
    ],
)
def test_what_has_no_meaning_on_coefficients_is_refused(build, message):
    def call(self, inputs):
        return inputs

    odd = type("Odd", (keras.layers.Layer,), {"build": build, "call": call})
    register_twin(odd, type("FROdd", (layers.FrequencyKernel, odd), {}))
    model = keras.Sequential([keras.Input((UNITS,)), odd(name="own"), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=message):
        regularize(model)
    assert len(frequency_layers(regularize(model, exclude="own"))) == 1


def test_a_layer_by_itself_says_what_its_weight_must_be():
    odd = type("Odd", (keras.layers.Layer,), {"build": build_of(name=None)})
    with pytest.raises(AttributeError, match="create it with `add_weight"):
        type("FROdd", (layers.FrequencyKernel, odd), {})().build((None, UNITS))


def test_a_layer_whose_arguments_nobody_knows_is_refused():
    class Silent(Own):
        def __init__(self, units=4, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    with pytest.raises(ValueError, match="`plain` must have a `get_config`"):
        register_twin(Silent, type("FRSilent", (layers.FrequencyKernel, Silent), {}))


def test_a_twin_with_weights_of_its_own_is_refused():
    class FRMore(layers.FrequencyKernel, ByText):
        def build(self, input_shape):
            super().build(input_shape)
            self.more = self.add_weight(shape=(3,), name="more")

    register_twin(ByText, FRMore)
    with pytest.raises(
        ValueError, match=r"`twin` must have the same weights .*\['more'\] instead of \[\]"
    ):
        regularize(one_layer(ByText))
