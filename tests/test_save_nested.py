"""`save_nested`: networks of several capacities in one file, and each of them again."""

import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest
from channel_graphs import STEPS, Builder, inputs_of, lifted, lively, outputs_of
from click.testing import CliRunner
from examples import telling
from keras import layers
from test_nest import X, quickly, small
from test_nest_growth import grown

import fr_archive
from fr_bench import scheduling
from fr_keras import load_archive, regularize, save_archive, tflite, zoo
from fr_keras.archive import inspect, save_nested
from fr_keras.methods import Nested
from fr_keras.models import channels
from fr_keras.models.vectors import weights
from fr_keras_cli import main as cli

pytestmark = pytest.mark.usefixtures("stepwise")

ARCHIVABLE = [name for name in STEPS if name not in ("operators", "unknown")]


@pytest.fixture(scope="module")
def nested(stepwise_module) -> Nested:
    return quickly(lifted(lively(small())))


@pytest.fixture(scope="module")
def saved(nested, tmp_path_factory):
    path = tmp_path_factory.mktemp("nested") / "small.fr"
    return path, save_nested(nested, path)


def all_of(path, packing) -> list[keras.Model]:
    return [load_archive(path, one.share) for one in packing.capacities]


def relative(found: list, expected: list) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float(abs(a - b).max() / abs(b).max()) for a, b in pairs)


def check_contained(nested: Nested, models: list[keras.Model]) -> None:
    """Each network holds the numbers of the one before to the bit, which read nothing new."""
    for number, (before, after) in enumerate(itertools.pairwise(models), 1):
        added = nested.added(number)
        triples = zip(weights(nested.models[number]), weights(before), weights(after), strict=True)
        for of_model, old, new in triples:
            assert of_model.name == old.name == new.name
            if new.layer_name in nested.own:
                continue
            values = new.values().reshape(new.variable.shape)
            places = [np.arange(length) for length in values.shape]
            reading = np.zeros(values.shape, bool)
            making = np.zeros(values.shape, bool)
            for axis, (is_read, positions) in added.get(id(of_model.variable), {}).items():
                places[axis] = np.flatnonzero(~positions)
                side = [n for n in range(values.ndim) if n != axis]
                part = reading if is_read else making
                part |= np.expand_dims(positions, side)
            assert values[np.ix_(*places)].tobytes() == old.values().tobytes()
            assert not values[reading & ~making].any()


def test_each_network_comes_back(nested, saved):
    path, packing = saved
    models = all_of(path, packing)
    check_contained(nested, models)
    for found, expected in zip(models, nested.models, strict=True):
        assert relative(outputs_of(found, [X]), outputs_of(expected, [X])) < 0.03
        assert [one.shape for one in found.weights] == [one.shape for one in expected.weights]
    assert len(nested.models) == 3
    halved = nested.models[0].get_layer("first").kernel.numpy() * 0.5
    assert relative([halved], [nested.models[0].get_layer("first").kernel.numpy()]) > 0.03


def test_a_share_gives_its_network_however_many_digits_it_has(nested, tmp_path):
    shares = (1 / 6, 2 / 3, 1.0)
    odd = dataclasses.replace(nested, shares=shares)
    save_nested(odd, tmp_path / "odd.fr")
    for share, model in zip(shares, nested.models, strict=True):
        found = load_archive(tmp_path / "odd.fr", capacity=share)
        assert found.count_params() == model.count_params()


def test_the_report_is_true(nested, saved, tmp_path):
    path, packing = saved
    assert packing.bytes == path.stat().st_size == packing.capacities[-1].download
    assert sum(one.bytes for one in packing.capacities) + 4 == packing.bytes
    for number, (one, model) in enumerate(zip(packing.capacities, nested.models, strict=True)):
        assert one.alone == save_archive(model, tmp_path / f"{number}.fr").bytes
        assert one.bytes == sum(one.sections.values())
    assert packing.bytes < sum(one.alone for one in packing.capacities)
    found = inspect(path)
    assert [dataclasses.replace(one, alone=None) for one in packing.capacities] == list(
        found.capacities
    )
    assert found.whole
    assert "alone" not in str(found)
    assert f"{packing.capacities[0].alone:,}" in str(packing)


def test_the_same_networks_give_the_same_bytes(nested, saved, tmp_path):
    save_nested(nested, tmp_path / "again.fr")
    assert (tmp_path / "again.fr").read_bytes() == saved[0].read_bytes()


def test_what_was_loaded_gives_the_same_bytes(nested, saved, tmp_path):
    path, packing = saved
    save_nested(dataclasses.replace(nested, models=tuple(all_of(path, packing))), tmp_path / "2.fr")
    assert (tmp_path / "2.fr").read_bytes() == path.read_bytes()


def test_a_file_that_is_cut_gives_the_last_whole_network(saved, tmp_path):
    path, packing = saved
    cut = tmp_path / "cut.fr"
    cut.write_bytes(path.read_bytes()[: packing.capacities[1].download + 9])
    with pytest.warns(UserWarning, match="was cut"):
        found = load_archive(cut)
    expected = load_archive(path, packing.capacities[1].share)
    assert all((a == b).numpy().all() for a, b in zip(found.weights, expected.weights, strict=True))
    assert not inspect(cut).whole
    assert "cut" in str(inspect(cut))
    cut.write_bytes(path.read_bytes()[: packing.capacities[0].download - 1])
    for read in (load_archive, inspect):
        with pytest.raises(ValueError, match="cut within its first network"):
            read(cut)


def two(model: keras.Model) -> Nested:
    """A network of half of the channels, and the whole around it, with numbers drawn at random."""
    half, whole, counts, own = grown(model)
    sizes = {name: channels.groups(whole)[name].size for name in counts}
    kept = [{name: list(range(n)) for name, n in one.items()} for one in (counts, sizes)]
    return Nested((half, whole), tuple(kept), (0.5, 1.0), None, tuple(own))


def check(model: keras.Model, folder) -> None:
    nested = two(model)
    packing = save_nested(nested, folder / "two.fr", kernel_error=1e-4, error=1e-5)
    models = all_of(folder / "two.fr", packing)
    check_contained(nested, models)
    x = inputs_of(model)
    for found, expected in zip(models, nested.models, strict=True):
        assert relative(outputs_of(found, x), outputs_of(expected, x)) < 0.02


# No graph with layers that an archive cannot hold.
@pytest.mark.parametrize("seed", telling((0, 2, 3, 5, 6, 11, 12, 13, 14, *range(17, 24)), 0, 2))
def test_random_graphs(seed, tmp_path):
    keras.utils.set_random_seed(seed)
    check(lifted(lively(Builder(seed).model())), tmp_path)


@pytest.mark.parametrize("step", telling(ARCHIVABLE, "separable", "attention"))
def test_kinds_of_layers(step, tmp_path):
    builder = Builder(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    x = layers.Conv2D(8, 3, padding="same", name="behind")(STEPS[step](builder, x, "step"))
    x = layers.GlobalAveragePooling2D()(x)
    check(lifted(lively(keras.Model(image, layers.Dense(4, name="logits")(x)))), tmp_path)


def test_full_recovery_is_one_file_too(tmp_path):
    nested = quickly(lifted(lively(small())), recover="full")
    packing = save_nested(nested, tmp_path / "full.fr")
    for found, expected in zip(all_of(tmp_path / "full.fr", packing), nested.models, strict=True):
        assert relative(outputs_of(found, [X]), outputs_of(expected, [X])) < 0.03
    alone = sum(one.alone for one in packing.capacities)
    assert 0.7 * alone < packing.bytes < alone


PROFILES = [
    {"accuracy": 0.8 + n / 50, "memory": 1000 * n + 1000, "latency_ms": 0.5} for n in range(3)
]


def test_profiles_are_what_the_scheduler_reads(nested, tmp_path):
    path = tmp_path / "profiles.fr"
    packing = save_nested(nested, path, profiles=[{**one, "file": "x"} for one in PROFILES])
    with path.open("rb") as file:
        read = [one.profile for one in fr_archive.stream(file)]
    shares = [one["share"] for one in read]
    expected = zip(PROFILES, shares, strict=True)
    assert read == [{**one, "share": share, "file": "x"} for one, share in expected]
    assert [one.memory for one in scheduling.capacities(read)] == [1000, 2000, 3000]
    for share, exact in zip(shares, nested.shares, strict=True):
        assert exact * 0.998 < share <= exact
        assert share == float(f"{share:.4g}")
    assert "latency_ms" in str(packing)
    assert json.loads(json.dumps(packing.to_dict()))["capacities"][0]["profile"] == read[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profiles": PROFILES[:2]}, "a dict for each of the 3 networks"),
        ({"profiles": [1, 2, 3]}, "a dict for each"),
        ({"profiles": [*PROFILES[:2], {"accuracy": 0.9}]}, "profile 2 without latency_ms, memory"),
        ({"profiles": [*PROFILES[:2], {**PROFILES[2], "memory": None}]}, "without memory"),
        ({"profiles": [{**one, "memory": "1"} for one in PROFILES]}, "finite numbers as `memory`"),
        ({"profiles": [{"accuracy": np.inf}] * 3}, "finite numbers as `accuracy`"),
        ({"profiles": [{"share": 1}] * 3}, "must not have a 'share'"),
        ({"profiles": [{"x": {1, 2}}] * 3}, "convert them first"),
        ({"kernel_error": 2}, "`kernel_error`"),
        ({"error": {"nowhere": 0.1}}, "must name only layers"),
        ({"skeleton": {}}, "must be given with `skeleton`"),
        ({"skeleton": {"quantize": "int8"}}, "arguments of `tflite.convert`"),
        ({"skeleton": {"calibration": iter([X])}}, "can be read again"),
    ],
)
def test_bad_arguments(nested, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        save_nested(nested, tmp_path / "bad.fr", **change)
    assert not list(tmp_path.iterdir())


def test_networks_that_are_not_as_nest_makes_them(nested, tmp_path):
    path = tmp_path / "bad.fr"
    with pytest.raises(ValueError, match="`save_archive` takes a single model"):
        save_nested(nested.models[0], path)
    for shares in ((0.5, 0.5, 1.0), (0.50001, 0.50002, 1.0)):
        with pytest.raises(ValueError, match="coincide"):
            save_nested(dataclasses.replace(nested, shares=shares), path)
    for where, index in (("first", (0, 0, 0, 0)), ("second", (0, 0, -1, 0))):
        copy = keras.models.clone_model(nested.models[1])
        copy.set_weights(nested.models[1].get_weights())
        values = copy.get_layer(where).kernel.numpy()
        values[index] += 1
        copy.get_layer(where).kernel.assign(values)
        models = (nested.models[0], copy, nested.models[2])
        with pytest.raises(ValueError, match=f"other numbers of old channels in '{where}/kernel'"):
            save_nested(dataclasses.replace(nested, models=models), path)
    fr = regularize(zoo.lenet5(), start=100)
    with pytest.raises(ValueError, match="`bake` the model before `nest`"):
        save_nested(dataclasses.replace(nested, models=(fr,) * 3), path)
    assert not path.exists()


def test_a_bias_that_is_cut_into_vectors_cannot_grow(tmp_path, monkeypatch):
    monkeypatch.setattr("fr_keras.models.vectors.LONGEST", 3)
    monkeypatch.setattr("fr_keras.models.vectors.BLOCK", 2)
    nested = quickly(lifted(lively(small())))
    with pytest.raises(ValueError, match="save each network by itself"):
        save_nested(nested, tmp_path / "long.fr")


@pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning")
def test_each_network_makes_its_own_int8_file(tmp_path):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(x))
    x = layers.Dense(3, name="logits")(layers.Flatten()(x))
    nested = quickly(lifted(lively(keras.Model(inputs, x))), capacities=2)
    skeleton = {"calibration": X, "labels": ["a", "b", "c"]}
    path = tmp_path / "skeletons.fr"
    packing = save_nested(nested, path, skeleton=skeleton)
    for one in packing.capacities:
        model = load_archive(path, one.share)
        expected = tflite.convert(model, quantize="int8", **skeleton).content
        data = path.read_bytes()[: one.download]
        assert fr_archive.expand(fr_archive.decode(data, one.share)) == expected
        output = tmp_path / f"{one.share}.tflite"
        command = ["unpack", str(path), str(output), "--capacity", str(one.share), "--json"]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
        assert output.read_bytes() == expected
    first, last = packing.capacities
    assert last.sections["skeleton"] < 0.7 * first.sections["skeleton"]


def test_commands(saved, tmp_path):
    path, packing = saved
    shown = CliRunner().invoke(cli, ["inspect", str(path)])
    assert shown.exit_code == 0, shown.output
    assert f"{packing.capacities[1].download:,}" in shown.output
    told = json.loads(CliRunner().invoke(cli, ["inspect", str(path), "--json"]).output)
    assert told["bytes"] == packing.bytes
    assert [one["share"] for one in told["capacities"]] == [one.share for one in packing.capacities]
    output = tmp_path / "half.keras"
    share = str(packing.capacities[1].share)
    done = CliRunner().invoke(cli, ["unpack", str(path), str(output), "--capacity", share])
    assert done.exit_code == 0, done.output
    found = keras.models.load_model(output)
    expected = load_archive(path, packing.capacities[1].share)
    assert relative(outputs_of(found, [X]), outputs_of(expected, [X])) == 0
    low = CliRunner().invoke(cli, ["unpack", str(path), str(output), "--capacity", "0.001"])
    assert low.exit_code != 0
