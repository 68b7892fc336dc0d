"""Every published file on LiteRT's AArch64 kernels, under emulation."""

from pathlib import Path

import numpy as np
import pytest
from device_setups import MODELS, ROOT, mode, ready
from rewritten import KINDS, largest, ops, packed, stripped
from rewritten import unet as unet_file

from fr_bench import benchmark, data
from fr_bench.benchmark import arm64, devices
from fr_bench.benchmark.by_op import by_op
from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file._strips import strip

pytestmark = pytest.mark.slow
FLOAT = ("float32", "float16")
#: Files that round between their ops.
ROUNDING = [path for path in MODELS if mode(path) not in FLOAT]


@pytest.fixture(scope="module", autouse=True)
def _set_up():
    ready("arm64")


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.stem)
def subject(request):
    return benchmark.subject(request.param, rows=4)


@pytest.mark.parametrize("delegate", arm64.DELEGATES)
def test_a_published_file_runs_and_agrees(subject, delegate):
    result = arm64.measure(subject, delegate, threads=1)
    assert (result.status, result.message) == ("done", None)
    assert (result.device["abi"], result.delegate) == ("aarch64", delegate)
    # Nothing that emulation cannot say.
    assert result.times is result.peak_memory_bytes is result.profile is None
    (agreement,) = result.agreement.values()
    assert agreement.rows == 4
    if mode(Path(subject.file)) in FLOAT:
        assert agreement.relative <= 1e-5
    if agreement.steps is not None:
        assert agreement.steps <= 1
    if delegate == "xnnpack":
        assert (result.ops.delegated == 0) == subject.file.endswith("int16x8.tflite")
        assert result.ops.delegated + sum(result.ops.refused.values()) == result.ops.total


@pytest.mark.parametrize("delegate", arm64.DELEGATES)
@pytest.mark.parametrize("path", ROUNDING, ids=lambda path: path.stem)
def test_every_op_agrees_on_the_same_inputs(path, delegate):
    """In an int8 file a step of one op grows in the next ones: alone, no op is off by more."""
    limits = {"steps": 1, "relative": 1e-5}
    subject = benchmark.subject(path, rows=4)
    found = by_op(subject, lambda *file: arm64.run(*file, delegate).outputs)
    assert [one for one in found if one.alone > limits[one.unit]] == []


@pytest.fixture(scope="module")
def unet():
    """The small U-Net of the Android app."""
    archive = ROOT / "android_demo" / "models" / "shapes.fr"
    return benchmark.subject(archive, data.load("shapes").test.inputs(slice(2)))


def test_a_unet_agrees_by_xnnpack_to_the_bit(unet):
    (agreement,) = arm64.measure(unet, "xnnpack", 1).agreement.values()
    assert agreement.steps == 0


def test_a_unet_is_a_step_off_in_convolutions_without_it(unet):
    found = by_op(unet, lambda *file: arm64.run(*file, "none").outputs)
    assert {one.op for one in found if one.alone} == {"CONV_2D"}
    assert max(one.alone for one in found) == 1
    (agreement,) = arm64.measure(unet, "none", 1).agreement.values()
    assert agreement.argmax > 0.99


def test_the_worker_ran_on_the_other_processor():
    subject = benchmark.subject(MODELS[0], rows=1)
    assert arm64.run(subject.content, subject.inputs, "none").facts["machine"] == "aarch64"


def test_a_file_that_fails_gives_a_result():
    subject = benchmark.subject(MODELS[0], rows=1)
    damaged = benchmark.Subject(subject.file, 8, subject.content[:8], subject.inputs, None)
    result = arm64.measure(damaged, "xnnpack", 1)
    assert result.status == "failed"
    assert "exit code 1" in result.message


def test_the_set_up_is_found_again():
    assert devices.find("arm64").version("qemu-user").startswith("1:10")


@KINDS
@pytest.mark.parametrize("delegate", arm64.DELEGATES)
def test_files_for_less_memory_give_the_same_bits(delegate, int8):
    content, rows = unet_file(int8)
    new = packed(content)
    strip(new, largest(content) // 5)
    assert {"SLICE", "RESHAPE"} <= {*ops(new)}
    one, two = (
        arm64.run(file, rows, delegate).outputs[0]
        for file in (content, flatbuffer.write(new.finished()))
    )
    # float32: the order of sums.
    np.testing.assert_allclose(two, one, atol=0 if int8 else 1e-6 * np.abs(one).max())


def test_strips_give_the_same_bits_by_xnnpack():
    content, rows = unet_file(False)
    cut = flatbuffer.write(stripped(content, largest(content) // 5).finished())
    one, two = (arm64.run(file, rows, "xnnpack").outputs[0] for file in (content, cut))
    np.testing.assert_array_equal(two, one)
