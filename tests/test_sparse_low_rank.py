"""`sparse_low_rank`: plain layers that compute the sum of both parts, and what stays whole."""

import keras
import numpy as np
import pytest
from keras import layers as kl
from networks import images, live, relative_difference, small_convnet

import fr_keras
from fr_keras.methods import keep_zeros, sparse_low_rank
from fr_keras.models.walk import named_layers

# Layers by name, with the shape of their input.
LAYERS = {
    "dense": (lambda **o: kl.Dense(24, **o), (20,)),
    "dense on images": (lambda **o: kl.Dense(24, **o), (4, 5, 20)),
    "conv1d": (lambda **o: kl.Conv1D(16, 3, padding="causal", **o), (9, 12)),
    "conv2d": (lambda **o: kl.Conv2D(16, 3, strides=2, padding="same", **o), (9, 9, 12)),
    "conv2d, dilated": (lambda **o: kl.Conv2D(16, (3, 2), dilation_rate=2, **o), (9, 9, 12)),
    "conv2d, 1x1": (lambda **o: kl.Conv2D(16, 1, **o), (5, 5, 18)),
    "conv3d": (lambda **o: kl.Conv3D(12, 2, **o), (4, 4, 4, 6)),
    "conv1d transposed": (lambda **o: kl.Conv1DTranspose(14, 3, strides=2, **o), (5, 10)),
    "conv2d transposed": (
        lambda **o: kl.Conv2DTranspose(14, 3, strides=2, padding="same", **o),
        (5, 4, 10),
    ),
    "conv3d transposed": (lambda **o: kl.Conv3DTranspose(8, 2, **o), (3, 3, 2, 6)),
}


def network(make, shape, **options) -> keras.Model:
    """One layer with random biases."""
    model = keras.Sequential([keras.Input(shape), make(name="it", **options)], name="one")
    it, rng = model.get_layer("it"), np.random.default_rng(0)
    if it.use_bias:
        it.bias.assign(rng.normal(size=it.bias.shape))
    return model


def as_matrix(layer) -> np.ndarray:
    kernel = np.asarray(layer.kernel)
    if "Transpose" in type(layer).__name__:
        kernel = np.moveaxis(kernel, -2, -1)
    return kernel.reshape(-1, kernel.shape[-1])


def parts(small: keras.Model) -> dict[str, np.ndarray]:
    """The kernels of the network in the place of a layer."""
    inside = small.get_layer("it").layers
    return {one.name: as_matrix(one) for one in inside if hasattr(one, "kernel")}


def with_kernel(model: keras.Model, matrix: np.ndarray) -> keras.Model:
    """A copy in which a matrix is the kernel."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    kernel = copy.get_layer("it").kernel
    shape, transposed = kernel.shape, "Transpose" in type(copy.get_layer("it")).__name__
    if transposed:
        kernel.assign(np.moveaxis(matrix.reshape(*shape[:-2], shape[-1], shape[-2]), -1, -2))
    else:
        kernel.assign(matrix.reshape(shape))
    return copy


CASES = [(name, 9) for name in LAYERS] + [("dense", 0), ("conv2d transposed", 0)]


@pytest.mark.parametrize(("name", "entries"), CASES)
def test_each_kind_of_layer_computes_the_sum_of_its_parts(name, entries):
    make, shape = LAYERS[name]
    model = network(make, shape, activation="tanh", use_bias=entries > 0)
    small = sparse_low_rank(model, {"it": (3, entries)})
    found = parts(small)
    assert found["it_core"].shape[1] == found["it_out"].shape[0] == 3
    total = found["it_core"] @ found["it_out"]
    if entries:
        assert np.count_nonzero(found["it_sparse"]) == entries
        total = total + found["it_sparse"]
    else:
        assert [*found] == ["it_core", "it_out"]
        left, values, right = np.linalg.svd(as_matrix(model.get_layer("it")), full_matrices=False)
        np.testing.assert_allclose(total, (left[:, :3] * values[:3]) @ right[:3], atol=1e-5)
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
    expected = with_kernel(model, total)(x)
    assert relative_difference(expected, small(x)) < 1e-5
    assert relative_difference(model(x), small(x)) > 1e-2
    assert type(small.get_layer("it").get_layer("it_core")) is type(model.get_layer("it"))


def planted(layer, rank: int, entries: int) -> None:
    """Gives a layer a kernel of that rank, and of large entries."""
    rng = np.random.default_rng(rank)
    kernel = np.array(layer.kernel)
    rows, columns = kernel.size // kernel.shape[-1], kernel.shape[-1]
    low = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)) / (rank * rows) ** 0.5
    low.flat[rng.choice(low.size, entries, replace=False)] = 5.0
    layer.kernel.assign(low.reshape(kernel.shape))


def test_a_network_is_rebuilt_around_its_split_layers(tmp_path):
    x, model = images(), small_convnet()
    planted(model.get_layer("down"), 2, 0)
    planted(model.get_layer("hidden"), 2, 20)
    live(model, x)
    small = sparse_low_rank(model, {"down": (2, 0), "hidden": (2, 20)})
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    assert_same(model, small, x, "down", "hidden")
    assert not small.compiled
    assert fr_keras.summary(small).to_dict()["kernel_weights"] > 0
    rest = [one for one in model.layers if one.name not in ("down", "hidden")]
    for layer in rest:
        own, its = layer.get_weights(), small.get_layer(layer.name).get_weights()
        assert all(np.array_equal(*pair) for pair in zip(own, its, strict=True))
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_allclose(again(x), small(x), atol=1e-6)
    small.compile("sgd", "mse", run_eagerly=True)
    zeros = np.asarray(sparse_kernel(small)) == 0
    small.fit(x, np.zeros((16, 5)), verbose=0, callbacks=[keep_zeros(small)])
    assert np.count_nonzero(zeros) == zeros.size - 20
    np.testing.assert_array_equal(np.asarray(sparse_kernel(small)) == 0, zeros)
    assert not np.array_equal(sparse_kernel(small), sparse_kernel(again))
    small.fit(x, np.zeros((16, 5)), verbose=0)
    assert np.count_nonzero(sparse_kernel(small)) > 20  # which is why there is a callback


def sparse_kernel(small: keras.Model):
    return small.get_layer("hidden").get_layer("hidden_sparse").kernel


def assert_same(model, small, x, *names) -> None:
    """The same outputs, where a halved kernel shows."""
    assert furthest(model, small, x) < 1e-3
    for name in names:
        kernel = named_layers(model)[name].kernel
        kernel.assign(kernel * 0.5)
        assert furthest(model, small, x) > 1e-2, name
        kernel.assign(kernel * 2)


def furthest(model, small, x) -> float:
    both = [found if isinstance(found, list) else [found] for found in (model(x), small(x))]
    return max(relative_difference(*pair) for pair in zip(*both, strict=True))


def nested(inner_name: str) -> keras.Model:
    inputs = keras.Input((20,))
    return keras.Model(inputs, kl.Dense(24, name="fc")(inputs), name=inner_name)


def test_nested_shared_and_time_distributed_layers():
    shared = kl.Dense(20, activation="relu", name="shared")
    steps, inputs = keras.Input((3, 20)), keras.Input((20,))
    x = nested("left")(shared(shared(inputs)))
    y = kl.TimeDistributed(nested("right"), name="each")(steps)
    model = keras.Model([inputs, steps], [x, y])
    parts = {"left/fc": (2, 8), "each/right/fc": (2, 0), "shared": (3, 5)}
    for name, (rank, entries) in parts.items():
        planted(named_layers(model)[name], rank, entries)
    small = sparse_low_rank(model, parts)
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(2, 20)), rng.normal(size=(2, 3, 20))]
    assert_same(model, small, data, *parts)
    assert len(small.get_layer("left").get_layer("fc").layers) == 5
    assert len(small.get_layer("shared").layers) == 6


def test_layers_that_stay_whole_are_named_with_the_reason():
    inputs = keras.Input((12, 12, 8))
    x = kl.Conv2D(8, 3, groups=2, name="grouped")(inputs)
    x = kl.Conv2D(8, 1, kernel_constraint="non_neg", name="bound")(x)
    x = kl.DepthwiseConv2D(3, name="depthwise")(x)
    x = kl.Conv2D(8, 3, kernel_initializer="zeros", name="zero")(x)
    x = kl.Conv2D(32, 3, name="wide")(x)
    both = kl.Dense(32, name="both")
    x = both(kl.GlobalAveragePooling2D()(both(x)))
    model = keras.Model(inputs, kl.Dense(1, name="logits")(x))
    with pytest.warns(UserWarning, match="layers stay whole") as caught:
        small = sparse_low_rank(model, 0.6)
    (text,) = [str(one.message) for one in caught if one.category is UserWarning]
    for part in (
        "'grouped' because its channels are in groups;",
        "'bound' because its kernel has a constraint;",
        "'zero' because its kernel is zero;",
        "'both' because it is called on tensors of different ranks;",
        "'logits' because rank 1 and 0 entries count 33 of its 32 numbers",
    ):
        assert part in text
    assert "wide" not in text
    assert "depthwise" not in text
    changed = [layer.name for layer in small.layers if isinstance(layer, keras.Model)]
    assert changed == ["wide"]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("keep", [0.3, 300, {"a": 0.3, "b": 100}])
def test_a_budget_bounds_the_numbers_of_the_model(keep, sparse):
    model = keras.Sequential([keras.Input((20,)), kl.Dense(30, name="a"), kl.Dense(12, name="b")])
    small = sparse_low_rank(model, keep, sparse)
    counted = {"a": 0, "b": 0}
    for name in counted:
        for one in small.get_layer(name).layers:
            if hasattr(one, "kernel"):
                times = 2 if one.name.endswith("_sparse") else 1
                counted[name] += times * np.count_nonzero(one.kernel)
    if isinstance(keep, dict):
        assert counted["a"] <= 180
        assert counted["b"] <= 100
    else:
        assert sum(counted.values()) <= (keep if keep > 1 else keep * 960)
    # Less than what is there would be a waste, but for what is smaller than an entry or a rank.
    assert sum(counted.values()) >= (280 if isinstance(keep, dict) else 288) - (4 if sparse else 92)


@pytest.mark.parametrize("sparse", [True, False])
def test_with_a_budget_of_everything_the_kernels_stay_as_they_are(sparse):
    model = keras.Sequential([keras.Input((7,)), kl.Dense(11, name="a"), kl.Dense(5, name="b")])
    for keep in (1.0, 132, {"a": 1.0, "b": 55}):
        with pytest.warns(
            UserWarning, match="'a' because rank 7 and 0 entries count 126 of its 77"
        ):
            same = sparse_low_rank(model, keep, sparse)
        assert all(map(np.array_equal, model.get_weights(), same.get_weights()))


@pytest.mark.parametrize("keep", ["criterion", "pursuit"])
@pytest.mark.parametrize("sparse", [True, False])
def test_planted_parts_are_found_without_a_budget(keep, sparse):
    rng = np.random.default_rng(0)
    low = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 30))
    spikes = np.zeros((40, 30))
    spikes.flat[rng.choice(1200, 20, replace=False)] = 20.0
    model = keras.Sequential([keras.Input((40,)), kl.Dense(30, name="it")])
    model.get_layer("it").kernel.assign(low + (spikes if sparse else 0))
    found = parts(sparse_low_rank(model, keep, sparse))
    np.testing.assert_allclose(found["it_core"] @ found["it_out"], low, atol=0.05)
    if sparse:
        np.testing.assert_allclose(found["it_sparse"], spikes, atol=0.05)
    else:
        assert "it_sparse" not in found


def test_options_of_a_layer_go_to_its_parts():
    options = {
        "kernel_regularizer": keras.regularizers.L2(0.1),
        "activity_regularizer": keras.regularizers.L1(0.01),
        "bias_constraint": "non_neg",
        "activation": "relu",
        "dtype": "mixed_float16",
    }
    model = network(*LAYERS["conv2d"], data_format="channels_last", **options)
    model.get_layer("it").trainable = False
    for entries in (0, 6):
        one = sparse_low_rank(model, {"it": (3, entries)}).get_layer("it")
        kernels = [layer for layer in one.layers if hasattr(layer, "kernel")]
        assert len(kernels) == 2 + (entries > 0)
        for layer in kernels:
            assert layer.kernel_regularizer.l2 == pytest.approx(0.1)
            assert not layer.trainable
        assert {layer.dtype_policy.name for layer in one.layers[1:]} == {"mixed_float16"}
        ends = [layer for layer in one.layers if layer.activity_regularizer is not None]
        assert ends == [one.layers[-1]]
        assert [layer.name for layer in kernels if layer.use_bias] == ["it_out"]
        assert one.get_layer("it_out").bias_constraint is not None


def plain() -> keras.Model:
    return keras.Sequential([keras.Input((20,)), kl.Dense(30, name="a"), kl.Dense(8, name="b")])


@pytest.mark.parametrize(
    ("keep", "sparse", "message"),
    [
        ({"a": (0, 3)}, True, r"`keep\['a'\]` must have a rank from 1 to 20.*Received: \(0, 3\)"),
        ({"a": (21, 0)}, True, r"rank from 1 to 20, the shorter axis of its matrix of 20x30"),
        ({"a": (2, 601)}, True, r"entries from 0 to 600\. Received: \(2, 601\)"),
        ({"a": (2, 1)}, False, r"entries from 0 to 0, for `sparse=False` leaves none"),
        ({"a": (2.0, 1)}, True, r"Received: \(2.0, 1\)"),
        ({"a": (2,)}, True, r"Received: \(2,\)"),
        ({"c": 0.5}, True, r"`keep` must name layers .*\['a', 'b'\]. Received: \['c'\]"),
        ({}, True, "Received: an empty dict"),
        ({"a": 49}, True, r"`keep\['a'\]` must be at least 50 of 600 numbers"),
        ({"a": 0}, True, r"`keep\['a'\]` must be a whole number from 1 to 600"),
        (87, True, r"`keep` must be at least 88 of 840 numbers, those of rank 1.*Received: 87"),
        (0.1, True, r"Received: 0.1, which is 84"),
        (0.0, True, r"`keep` must be a whole number from 1 to 840"),
        (1.1, True, r"Received: 1.1"),
        (841, True, r"Received: 841"),
        (True, True, r"Received: True"),
        ("bic", True, r"\['criterion', 'pursuit'\], or a dict. Received: 'bic'"),
        (float("nan"), True, r"Received: nan"),
    ],
)
def test_what_cannot_be_met_is_refused(keep, sparse, message):
    with pytest.raises(ValueError, match=message):
        sparse_low_rank(plain(), keep, sparse)


def test_models_without_a_kernel_to_split_are_refused():
    with pytest.raises(ValueError, match=r"plain layers only.*FR layer 'a'"):
        sparse_low_rank(fr_keras.regularize(plain()), 0.5)
    with pytest.raises(ValueError, match="must have a layer to split"):
        sparse_low_rank(keras.Sequential([keras.Input((4, 4, 3)), kl.DepthwiseConv2D(3)]), 0.5)
    broken = plain()
    broken.get_layer("b").kernel.assign(np.full((30, 8), np.nan))
    with pytest.raises(ValueError, match="must have finite weights"):
        sparse_low_rank(broken, 0.5)
    zeros = keras.Sequential([keras.Input((4,)), kl.Dense(3, kernel_initializer="zeros", name="z")])
    with pytest.raises(ValueError, match=r"Received: \{'z': 'its kernel is zero'\}"):
        sparse_low_rank(zeros, 0.5)
    lora = plain()
    lora.get_layer("a").enable_lora(2)
    with pytest.raises(ValueError, match=r"can be split: \['b'\]. Received: 'a', but .* LoRA"):
        sparse_low_rank(lora, {"a": (2, 0)})


def test_zeros_are_kept_only_where_there_are_some():
    with pytest.raises(ValueError, match="must have a trainable kernel with zeros"):
        keep_zeros(plain())
    model = plain()
    for layer in model.layers:
        layer.kernel.assign(np.eye(*layer.kernel.shape))
    model.get_layer("b").trainable = False
    assert keep_zeros(model).keep == {"a": 20}
    model.get_layer("a").kernel.assign(np.zeros((20, 30)))
    with pytest.raises(ValueError, match="must have a trainable kernel with zeros"):
        keep_zeros(model)
