"""Why `benchmark_model` failed: the line that names what is at fault, wherever it stands."""

import pytest

from fr_bench.benchmark.android import texts

FLEX = "Select TensorFlow op(s), included in the given model, is(are) not supported."
NODE = "Node number 12 (FlexConv2D) failed to prepare."
NEW = "[litert/runtime/compiled_model.cc:412] "


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        # Classic: the op stands two lines above the end.
        (
            [FLEX, NODE, "Failed to allocate tensors!", "Benchmarking failed."],
            f"{FLEX} / {NODE}",
        ),
        # LiteRT's, with the places in its source.
        (
            [NEW + FLEX, NEW + NODE, NEW + "Failed to compile model.", "Benchmarking failed."],
            f"{FLEX} / {NODE} / Failed to compile model.",
        ),
        (
            ["Encountered unresolved custom op: Foo.", "Failed to allocate tensors!"],
            "Encountered unresolved custom op: Foo.",
        ),
        (
            ["Didn't find op for builtin opcode 'CONV_2D' version '9'.", "Registration failed."],
            "Didn't find op for builtin opcode 'CONV_2D' version '9'.",
        ),
        # A kernel's own check stands above the op.
        (
            [
                "tensorflow/lite/kernels/conv.cc:346 input->type != filter->type (FLOAT32 != INT8)",
                "Node number 0 (CONV_2D) failed to prepare.",
                "Failed to allocate tensors!",
                "Benchmarking failed.",
            ],
            "tensorflow/lite/kernels/conv.cc:346 input->type != filter->type (FLOAT32 != INT8) / "
            "Node number 0 (CONV_2D) failed to prepare.",
        ),
        # Of a delegate: the op, and then that it would not.
        (
            [
                "TfLiteGpuDelegate Init: SPLIT: no such axis",
                "Node number 9 (TfLiteGpuDelegateV2) failed to prepare.",
                "Failed to apply GPU delegate.",
                "Benchmarking failed.",
            ],
            "Node number 9 (TfLiteGpuDelegateV2) failed to prepare. / "
            "Failed to apply GPU delegate.",
        ),
        # No op is at fault.
        (
            ["Could not open 'x.tflite'.", "Failed to load model", "Benchmarking failed."],
            "Could not open 'x.tflite'.",
        ),
        (["Benchmarking failed."], "Benchmarking failed."),
        ([], None),
    ],
)
def test_the_reason_is_the_line_that_names_it(lines, error):
    """Whatever stands before the lines, also nothing, as in old builds."""
    text = "".join(f"ERROR: {line}\n" for line in lines)
    assert texts.read(f"INFO: STARTING!\n{text}", "gpu").error == error
    log = "".join(f"01-11 23:28:59.026  7651  7651 E tflite  : {line}\r\n" for line in lines)
    assert texts.read(log, "gpu").error == error
    google = "".join(f"E0000 00:00:1758455104.504065   62590 x.cc:51] {line}\n" for line in lines)
    assert texts.read(google, "gpu").error == error


@pytest.mark.parametrize("line", [NODE, "Encountered unresolved custom op: Foo."])
def test_old_builds_name_the_op_without_a_level(line):
    text = f"STARTING!\n{line}\nFailed to allocate tensors!\nBenchmarking failed.\n"
    assert texts.read(text, "none").error == line
