"""Prints the bytes that a network adds to a process that has another one already.

    python network_memory.py OTHER FILE

The first network of a process also pays for the runtime, some megabytes, whatever its size. Where
several run in one app, that is paid once.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

_RUNS = 3
_FORGET_PEAK = "5"


def loaded(path: str) -> Interpreter:
    """A network that has run, on one thread with XNNPACK."""
    network = Interpreter(path, num_threads=1)
    network.allocate_tensors()
    (given,) = network.get_input_details()
    for _ in range(_RUNS):
        network.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
        network.invoke()
    return network


def memory(name: str) -> int:
    """The bytes of `VmRSS`, held now, or of `VmHWM`, the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    other, file = sys.argv[1:]
    kept = loaded(other)
    Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
    before = memory("VmRSS")
    both = (kept, loaded(file))
    print(memory("VmHWM") - before)
    del both


if __name__ == "__main__":
    main()
