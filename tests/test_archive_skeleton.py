"""Archives that make their own .tflite file: recipes, gaps, and hostile skeletons."""

import functools
import json

import keras
import numpy as np
import pytest
import skeleton_page
from archive_cases import as_on_the_page
from click.testing import CliRunner
from keras import layers
from networks import live
from test_archive_fuzz import Mutator

import fr_archive
import fr_keras
from fr_archive import ArchiveError, lz, skeletons
from fr_archive.archive import source
from fr_archive.container import varint
from fr_archive.rangecoder import Decoder
from fr_archive.recipes import Op
from fr_keras import regularize, tflite, zoo
from fr_keras.models.walk import frequency_layers
from fr_keras_cli import main as cli

# The networks are not trained: int8 may be far from them, and that is not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore::fr_keras.tflite.ConversionWarning"),
    pytest.mark.filterwarnings("ignore:calibration changed"),  # statistics drawn at random
]
ROWS = 24


def rows(model, seed=0):
    shape = (ROWS, *model.inputs[0].shape[1:])
    return np.random.default_rng(seed).random(shape, np.float32)


def kept(model, fraction=0.1, **options):
    """The FR twin with few coefficients, of a size that lets signals through."""
    twin = regularize(live(model, rows(model)), **options)
    rng = np.random.default_rng(2)
    for part in frequency_layers(twin):
        part.truncate(max(1, min(part.kept, round(fraction * part.kept))))
        shape = tuple(part.coefficients.shape)
        gain = np.sqrt(2 * shape[-1] / part.kept)
        part.set_coefficients(rng.normal(0, gain, shape))
    return twin


def lenet5(**arguments):
    return kept(zoo.lenet5(classifier_activation=None, **arguments), 0.01)


def normalized_lenet5():
    return lenet5(batch_norm=True)


def unet():
    return kept(zoo.unet((32, 32, 3), filters=8, classifier_activation=None), 0.02)


def encoder_decoder():
    """A U-Net of one level: a transposed convolution, and a concatenation that is a sum."""
    inputs = keras.Input((16, 16, 3))
    skip = layers.Conv2D(48, 3, padding="same", activation="relu", name="down")(inputs)
    x = layers.MaxPooling2D(name="pool")(skip)
    x = layers.Conv2DTranspose(48, 2, strides=2, use_bias=False, name="up")(x)
    x = layers.Concatenate(name="both")([skip, x])
    x = layers.Conv2D(48, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="classifier")(x), name="small_unet")
    return kept(model, 0.02)


def biased():
    """Biases in front of normalizations with gamma and beta, one-dimensional and dense stages."""
    inputs = x = keras.Input((24, 6))
    x = layers.Conv1D(16, 3, padding="same", name="conv")(x)
    x = layers.BatchNormalization(name="conv_bn")(x)
    x = layers.ReLU(name="conv_relu")(x)
    x = layers.Conv1D(32, 3, strides=2, activation="relu", name="strided")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(40, activation="relu", name="hidden")(x)
    return kept(keras.Model(inputs, layers.Dense(5, name="logits")(x), name="biased"))


def odd():
    """Small kernels whose bytes fill no whole words."""
    inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(8, 3, name="conv")(inputs)
    x = layers.Dense(6, name="logits")(layers.Flatten(name="flatten")(x))
    return regularize(keras.Model(inputs, x, name="odd"), start={"conv": 40, "logits": 100})


def mixed():
    """A plain convolution and a depthwise one beside those in the DCT domain."""
    inputs = x = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="plain")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(40, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(4, name="logits")(x), name="mixed")
    return kept(model, exclude=["plain"])


def saved(model, path, **skeleton):
    """The packing, the loaded model and what the archive holds."""
    packing = fr_keras.save_archive(model, path, calibration=rows(model), skeleton=skeleton)
    return packing, fr_keras.load_archive(path), fr_archive.decode(path.read_bytes())


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A function from how a model is made to the model, its file and what `saved` gives; of each
    model there is one."""

    @functools.cache
    def packed(make):
        model, path = make(), tmp_path_factory.mktemp("skeleton") / "m.fr"
        return model, path, *saved(model, path)

    return packed


@pytest.mark.parametrize(
    "make",
    # A depthwise op is no linear op: its constants stay in the template.
    [
        pytest.param(lenet5, marks=pytest.mark.slow),
        pytest.param(normalized_lenet5, marks=pytest.mark.slow),
        pytest.param(unet, marks=pytest.mark.slow),
        pytest.param(encoder_decoder, marks=pytest.mark.slow),
        pytest.param(biased, marks=pytest.mark.slow),
        odd,
        pytest.param(mixed, marks=pytest.mark.slow),
    ],
    ids=["lenet5", "lenet5-bn", "unet", "encoder-decoder", "biased", "odd", "mixed"],
)
def test_the_file_that_convert_writes_is_the_file_that_the_archive_makes(packed, make, tmp_path):
    model, _, packing, loaded, archive = packed(make)
    expanded = fr_archive.expand(archive)
    done = tflite.convert(loaded, quantize="int8", calibration=rows(model))
    assert expanded == done.content
    assert tflite.inspect(expanded).ops
    linear = {"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
    count = sum(number for op, number in tflite.inspect(expanded).ops.items() if op in linear)
    assert len(done.recipes) == count
    assert packing.sections["skeleton"] < len(expanded) / 4
    # Packed again it is the same file, and without its skeleton it loads the same.
    again = fr_keras.save_archive(
        loaded, tmp_path / "again.fr", calibration=rows(model), skeleton={}
    )
    assert again.sections["skeleton"] == packing.sections["skeleton"]


def by_the_page(archive):
    """The file of an archive by a reader written from the page."""
    numbers = [
        [(one.values, one.step) for one in part] for part in (archive.tensors, archive.vectors)
    ]
    kernels = list(map(as_on_the_page, archive.kernels))
    return skeleton_page.expand(archive.skeleton, *numbers, kernels)


@pytest.mark.parametrize(
    "make",
    [normalized_lenet5, *(pytest.param(one, marks=pytest.mark.slow) for one in (biased, unet))],
    ids=["lenet5", "biased", "unet"],
)
def test_a_reader_written_from_the_page_makes_the_same_file(packed, make):
    archive = packed(make)[-1]
    assert by_the_page(archive) == fr_archive.expand(archive)


def test_the_constants_agree_with_those_of_the_quantizer(tmp_path, monkeypatch):
    model = lenet5(batch_norm=True)
    x = rows(model, seed=1)
    done = tflite.convert(model, quantize="int8", calibration=rows(model))
    assert done.recipes
    # The arg-max of a network that learned nothing is a close call; what it computes is not.
    assert done.agreement.relative < done.agreement.bound
    # Without recipes the file differs by roundings alone.
    monkeypatch.setattr("fr_keras.tflite._in_form.fits_an_archive", lambda model: False)
    plain = tflite.convert(
        fr_keras.bake(model, form="auto"), quantize="int8", calibration=rows(model)
    )
    assert not plain.recipes
    difference = np.abs(tflite.run(done.content, x) - tflite.run(plain.content, x))
    assert difference.max() <= 4 * done.agreement.step


@pytest.mark.slow
def test_segments_have_recipes(tmp_path):
    model = unet()
    _, loaded, archive = saved(model, tmp_path / "m.fr", form="factored")
    done = tflite.convert(loaded, quantize="int8", calibration=rows(model), form="factored")
    assert fr_archive.expand(archive) == done.content

    def uses(node):
        return node.op == Op.SEGMENTS or any(map(uses, node.nodes))

    assert any(uses(recipe.kernel) for recipe in done.recipes.values())


def test_options_of_convert(tmp_path):
    model = lenet5(batch_norm=True)
    options = {"float_io": True, "labels": [str(n) for n in range(10)], "normalization": (1, 0)}
    options |= {"float_layers": ["conv2"]}
    _, loaded, archive = saved(model, tmp_path / "m.fr", **options)
    content = fr_archive.expand(archive)
    done = tflite.convert(loaded, quantize="int8", calibration=rows(model), **options)
    assert content == done.content


def test_bad_arguments(tmp_path):
    model = lenet5()
    with pytest.raises(ValueError, match="`skeleton` must be a dict of arguments"):
        fr_keras.save_archive(
            model, tmp_path / "m.fr", calibration=rows(model), skeleton={"quantize": "int8"}
        )
    with pytest.raises(ValueError, match="`calibration` must be given with `skeleton`"):
        fr_keras.save_archive(model, tmp_path / "m.fr", skeleton={})
    assert not list(tmp_path.iterdir())


def test_command_line(packed, tmp_path):
    model, path, *_ = packed(normalized_lenet5)
    output = tmp_path / "m.tflite"
    run = CliRunner().invoke(cli, ["unpack", str(path), str(output), "--json"])
    assert run.exit_code == 0
    content = output.read_bytes()
    assert json.loads(run.output) == {"file": str(output), "bytes": len(content)}
    assert content == fr_archive.expand(fr_archive.decode(path.read_bytes()))
    assert np.isfinite(tflite.run(output, rows(model))).all()
    refused = CliRunner().invoke(cli, ["unpack", str(path), str(output), "--capacity", "0.5"])
    assert refused.exit_code == 2
    fr_keras.save_archive(model, tmp_path / "bare.fr")
    bare = CliRunner().invoke(
        cli, ["unpack", str(tmp_path / "bare.fr"), str(tmp_path / "b.tflite")]
    )
    assert bare.exit_code == 1
    assert "skeleton" in bare.output
    assert not (tmp_path / "b.tflite").exists()


@pytest.fixture(scope="module")
def lenet(packed):
    return packed(normalized_lenet5)[-1]


def test_what_is_no_flatbuffer_is_refused_and_not_written(lenet, tmp_path):
    text = bytearray(lz.decompress(Decoder(lenet.skeleton, 0, len(lenet.skeleton)), 1 << 22))
    place = text.index(b"TFL3")
    wrong = bytes(text[:place] + b"TFL9" + text[place + 4 :])
    with pytest.raises(ArchiveError, match="not make a TFLite flatbuffer"):
        skeletons.expand(lz.compress(wrong), source(lenet))
    # The identifier is right, the root table is elsewhere.
    text[place - 4 : place] = (1 << 30).to_bytes(4, "little")
    damaged = fr_archive.Archive(
        lenet.architecture, lenet.tensors, lenet.vectors, lz.compress(bytes(text))
    )
    path, output = tmp_path / "damaged.fr", tmp_path / "m.tflite"
    path.write_bytes(fr_archive.encode(damaged))
    run = CliRunner().invoke(cli, ["unpack", str(path), str(output)])
    assert run.exit_code == 1
    assert "not make a valid TFLite file" in run.output
    assert not output.exists()


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]
)
def test_mutated_skeletons_are_refused_or_files_of_their_size(lenet, monkeypatch, seed):
    """What a payload decompresses to; other tests compress what is wrong, or change payloads."""
    text = lz.decompress(Decoder(lenet.skeleton, 0, len(lenet.skeleton)), 1 << 22)
    mutator, refused = Mutator(seed), 0
    for number in range(50):
        # Most of the text is template: half of the mutations are of the program in front of it.
        head = 400 if number % 2 else len(text)
        wrong = mutator.mutated(text[:head]) + text[head:]
        monkeypatch.setattr(lz, "decompress", lambda *_, wrong=wrong: wrong)
        try:
            content = skeletons.expand(lenet.skeleton, source(lenet))
        except ArchiveError:
            refused += 1
        else:
            assert content[4:8] == b"TFL3"
    assert refused > 5


def test_mutated_payloads_of_skeletons_are_refused(lenet):
    mutator = Mutator(9)
    for _ in range(50):
        wrong = mutator.mutated(lenet.skeleton)
        if wrong != lenet.skeleton:
            try:
                content = skeletons.expand(wrong, source(lenet))
            except ArchiveError:
                continue
            assert content[4:8] == b"TFL3"


def program(*steps, gaps=(), size=8, words=b""):
    """The payload of a skeleton, from numbers."""
    text = b"".join(varint(n) for n in (size, len(steps), *(n for step in steps for n in step)))
    text += b"".join(varint(n) for n in (len(gaps), *(n for gap in gaps for n in gap)))
    return lz.compress(text + bytes(-len(text) % 4) + words)


ONE = (4, 1, 0x3F800000)  # SCALAR
SITE = (31, 1, 0, 0, 1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (program((20, 0)), "no operation 20"),
        (program((19, 0)), "KERNEL"),
        (program((19, 2, 0, 5)), "KERNEL"),
        (program((19, 3, 0, 1 << 20, 1 << 20)), "at most"),
        (program((6, 1, 1, 1, 0)), "not one 1 back"),
        (program(ONE, (6, 1, 3, 1, 0)), "not one 3 back"),
        (program((0, 3, 99, 3, 1)), "COEFFICIENTS"),
        (program((0, 3, 0, 1 << 24, 1)), "at most"),
        (program((1, 3, 99, 5, 5)), "VECTORS"),
        (program((1, 3, 0, 1, 1 << 30)), "at most"),
        (program((1, 3, 0, 1 << 20, 1 << 20)), "from 1 to 4096 numbers"),
        (program((0, 101, 0, 1 << 20, *(99 * (1,)))), "at most"),
        (program((3, 4, 1 << 20, 1 << 20, 0, 1)), "at most"),
        (program((3, 4, 8, 9, 0, 1)), "COSINES"),
        (program((4, 1, 0x7F800000)), "finite"),
        (program(ONE, (8, 1, 1, 3)), "RESHAPE"),
        (program(ONE, (11, 1, 1, 0), (13, 2, 1, 0)), "division by 0"),
        (program((5, 2, 1 << 30, 0)), "at most"),
        (program(ONE, SITE, words=bytes(32)), "output channel"),
        (program(ONE, (8, 1, 1, 1), SITE, gaps=[(0, 2, 0)]), "belongs to no op"),
        (program(ONE, (8, 1, 1, 1), SITE, gaps=[(9, 0, 0)]), "Gaps must follow one another"),
        (program(ONE, (8, 1, 1, 1), SITE, gaps=[(0, 0, 4)]), "number of at most 3,"),
        (program(ONE, (8, 1, 1, 1), SITE, words=bytes(4)), "words outside"),
        (program(ONE, (8, 1, 1, 1), SITE, words=bytes(32)), "above 0"),
        (program(ONE, (8, 1, 1, 1), (31, 1, 0, 2000, 1), words=bytes(32)), "outside of the file"),
        (program(size=1 << 30), "must have a number of at most"),
        (program(words=bytes(32)), "not make a TFLite flatbuffer"),
        (b"", "ends too early|no number"),
        # Without these rules a few bytes take any memory or time, or readers differ.
        (program(ONE, (8, 1, 33, *(33 * (1,)))), "32 axes"),
        (program((1, 3, 0, 1, 0), (8, 1, 2, 0, 1 << 24)), "an array of shape"),
        (program((3, 4, 4, 4, 0, 4), (17, 1, 1, 1 << 30)), "only a vector can be repeated"),
        (program((3, 4, 4, 4, 0, 4), (16, 1, 0)), "three rows"),
        (program((3, 4, 3, 3, 0, 3), (15, 1, 1, 1, 0)), "whole number"),
        (program((3, 4, 1024, 1024, 0, 1024), *(2100 * [SITE]), words=bytes(32)), "operations"),
    ],
)
def test_hostile_skeletons(lenet, payload, message):
    with pytest.raises(ArchiveError, match=message):
        skeletons.expand(payload, source(lenet))
