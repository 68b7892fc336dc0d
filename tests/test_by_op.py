"""Each op of a file compared by itself."""

import numpy as np
import pytest
from device_setups import MODELS, converted

from fr_bench import benchmark
from fr_bench.benchmark import process
from fr_bench.benchmark.by_op import by_op
from fr_bench.benchmark.result import REFERENCE


def subject(name: str) -> benchmark.Subject:
    return benchmark.subject(next(path for path in MODELS if path.name == name), rows=3)


def reference(content, inputs):
    return process.work(content, inputs, REFERENCE).outputs


@pytest.mark.parametrize("name", ["digits_fr_int8.tflite", "digits_fr_float16.tflite"])
def test_the_reference_agrees_with_itself(name):
    found = by_op(subject(name), reference)
    kinds = ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "CONV_2D", "CONV_2D", "MAX_POOL_2D", "RESHAPE"]
    # The ops that widen float16 weights stay with those that read them.
    assert [one.op for one in found] == [*kinds, *["FULLY_CONNECTED"] * 3, "SOFTMAX"]
    assert {one.unit for one in found} == {"steps" if "int8" in name else "relative"}
    assert {(one.alone, one.through) for one in found} == {(0.0, 0.0)}


def test_a_difference_is_found_where_it_arises():
    """A target whose dense layer is a step off: so are the ops after it, but not by themselves."""
    small, calls = subject("digits_fr_int8.tflite"), []

    def target(content, inputs):
        outputs = reference(content, inputs)
        alone = len(inputs) > 1
        calls.append(alone)
        # In the whole file this target is off from the dense layer on.
        for one in outputs[8:9] if alone else outputs[8:]:
            one += np.where(one < 127, 1, -1).astype(one.dtype)
        return outputs

    found = by_op(small, target)
    assert calls == [True, False]
    assert [one.alone for one in found] == [0] * 8 + [1, 0, 0]
    assert [one.through for one in found] == [0] * 8 + [1, 1, 1]
    assert (found[8].op, found[8].tensor) == ("FULLY_CONNECTED", "hidden_out")


def test_other_kernels_round_nearly_as_the_reference_does():
    """Within one step in every op of an int8 file."""
    found = by_op(
        subject("digits_pruning_int8.tflite"),
        lambda *file: process.work(*file, "none").outputs,
    )
    assert max(one.alone for one in found) <= 1


def test_an_op_over_several_rows_is_compared_too():
    import tensorflow as tf

    (found,) = by_op(converted(lambda x: tf.reshape(x, (2, 2)), shape=(1, 4)), reference)
    assert (found.op, found.alone, found.through) == ("RESHAPE", 0, 0)
