"""Runs one flatbuffer on LiteRT's CPU kernels for the tests of the app's screens on the JVM.

    python serve.py FILE none|xnnpack THREADS

It writes a line of JSON that describes the input and the output. Then it reads inputs, as bytes in
the file's own type, and writes the output for each in the same way, until its input ends.
"""

import json
import sys

from ai_edge_litert.interpreter import Interpreter, OpResolverType

RESOLVERS = {
    "none": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.AUTO,
}


def described(tensor: dict, name: str) -> dict:
    scale, zero_point = tensor["quantization"]
    return {
        "name": name,
        "shape": tensor["shape"].tolist(),
        "type": tensor["dtype"].__name__,
        "scale": scale,
        "zero_point": zero_point,
    }


def main() -> None:
    path, delegate, threads = sys.argv[1:]
    network = Interpreter(
        path, num_threads=int(threads), experimental_op_resolver_type=RESOLVERS[delegate]
    )
    network.allocate_tensors()
    (signature,) = network.get_signature_list().values()
    (given,), (made,) = network.get_input_details(), network.get_output_details()
    types = {
        "input": described(given, signature["inputs"][0]),
        "output": described(made, signature["outputs"][0]),
    }
    sys.stdout.buffer.write(json.dumps(types).encode() + b"\n")
    sys.stdout.buffer.flush()
    read = network.tensor(given["index"])
    size = read().nbytes
    while len(content := sys.stdin.buffer.read(size)) == size:
        read().view("int8").reshape(-1)[:] = memoryview(content).cast("b")
        network.invoke()
        sys.stdout.buffer.write(network.get_tensor(made["index"]).tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
