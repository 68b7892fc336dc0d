"""Observes the values of a float flatbuffer's tensors on representative rows."""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def observe(content: bytes, rows: list[np.ndarray], collectors: Mapping) -> None:
    """Runs a file row by row and shows each collector the values of its tensor.

    Args:
        content: A float32 file as the converter wrote it, with inputs `input_0`, `input_1`, ...
        rows: Representative rows, an array for each input in that order.
        collectors: Objects with a method `add(values)`, by the number of the tensor.
    """
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        # A delegate keeps tensors to itself.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (signature,) = interpreter.get_signature_list()
    inputs = interpreter.get_signature_runner(signature).get_input_details()
    for parts in zip(*rows, strict=True):
        for order, part in enumerate(parts):
            interpreter.set_tensor(inputs[f"input_{order}"]["index"], part[None])
        interpreter.invoke()
        for number, collector in collectors.items():
            collector.add(interpreter.get_tensor(number))
