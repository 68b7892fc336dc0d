"""Small .tflite files that are written op by op, without a model or a converter."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fr_keras.tflite.file import flatbuffer
from fr_keras.tflite.file._rewriting import Rewriter

_TYPES = schema.TensorType


class Files:
    """Writes one file. Activations are NHWC with batch 1, and known by their numbers.

    Args:
        seed: Of weights and scales.
        int8: Whether the file computes in int8 instead of float32.
    """

    def __init__(self, seed: int = 0, int8: bool = False):
        model, graph, empty = schema.ModelT(), schema.SubGraphT(), schema.BufferT()
        model.version, model.description = 3, "made for a test"
        model.buffers, model.operatorCodes = [empty], []
        graph.tensors, graph.operators, graph.name = [], [], "main"
        graph.inputs, graph.outputs = [], []
        model.subgraphs, model.signatureDefs, model.metadata = [graph], [], []
        self.new, self.int8 = Rewriter(model), int8
        self.rng, self.operators = np.random.default_rng(seed), []

    def input(self, *shape: int) -> int:
        number = self.activation(shape, name="input")
        self.new.graph.inputs = [*self.new.graph.inputs, number]
        return number

    def activation(self, shape, like: int | None = None, name: str = "t") -> int:
        """A tensor; with `like`, one with that tensor's scale and zero point."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), np.array([1, *shape], np.int32)
        tensor.buffer, tensor.type = 0, _TYPES.INT8 if self.int8 else _TYPES.FLOAT32
        if self.int8:
            tensor.quantization = (
                self.scales(self.rng.uniform(0.02, 0.05, 1), self.rng.integers(-40, 40, 1))
                if like is None
                else self.new.graph.tensors[like].quantization
            )
        self.new.graph.tensors.append(tensor)
        return len(self.new.graph.tensors) - 1

    def conv(self, x: int, filters: int, size=1, strides=1, padding="SAME", act="NONE") -> int:
        """A convolution; `size` and `strides` are numbers or pairs."""
        (high, wide), (down, aside) = np.broadcast_to(size, 2), np.broadcast_to(strides, 2)
        _, height, width, channels = self.new.shape(x)
        options = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = (
            getattr(schema.Padding, padding),
            down,
            aside,
        )
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = getattr(schema.ActivationFunctionType, act)
        if padding == "VALID":
            height, width = height - high + 1, width - wide + 1
        output = self.activation((-(-height // down), -(-width // aside), filters))
        kernel = self._kernel(filters, high, wide, channels)
        inputs = [x, kernel, self._bias(x, kernel, filters)]
        return self._made("CONV_2D", inputs, output, options)

    def depthwise(self, x: int, size: int = 3, stride: int = 1) -> int:
        _, height, width, channels = self.new.shape(x)
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.SAME, stride, stride
        options.dilationHFactor = options.dilationWFactor = options.depthMultiplier = 1
        output = self.activation((-(-height // stride), -(-width // stride), channels))
        kernel = self._kernel(1, size, size, channels, axis=3)
        inputs = [x, kernel, self._bias(x, kernel, channels)]
        return self._made("DEPTHWISE_CONV_2D", inputs, output, options)

    def pool(self, x: int, size: int = 2, kind: str = "MAX_POOL_2D", padding: str = "VALID") -> int:
        _, height, width, channels = self.new.shape(x)
        options = schema.Pool2DOptionsT()
        options.padding = getattr(schema.Padding, padding)
        options.strideH = options.strideW = options.filterHeight = options.filterWidth = size
        more = size - 1 if padding == "SAME" else 0
        shape = (height + more) // size, (width + more) // size, channels
        return self._made(kind, [x], self.activation(shape, like=x), options)

    def to_space(self, x: int, block: int = 2) -> int:
        _, height, width, channels = self.new.shape(x)
        options = schema.DepthToSpaceOptionsT()
        options.blockSize = block
        shape = height * block, width * block, channels // block**2
        return self._made("DEPTH_TO_SPACE", [x], self.activation(shape, like=x), options)

    def sum(self, x: int, y: int) -> int:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = 0
        shape = np.maximum(self.new.shape(x), self.new.shape(y))[1:]
        return self._made("ADD", [x, y], self.activation(shape), options)

    def join(self, x: int, y: int) -> int:
        """Channels of two tensors that have equal scales."""
        shape = [*self.new.shape(x)[1:-1], self.new.shape(x)[-1] + self.new.shape(y)[-1]]
        op = self.new.concatenation([x, y], 3, self.activation(shape, like=x))
        self.operators.append(op)
        return int(op.outputs[0])

    def padded(self, x: int, pads: np.ndarray) -> int:
        """Zeros above, below, to the left and to the right."""
        above, below, left, right = map(int, pads)
        op = self.new.pad(x, [(0, 0), (above, below), (left, right), (0, 0)])
        self.operators.append(op)
        return int(op.outputs[0])

    def sigmoid(self, x: int) -> int:
        output = self.activation(self.new.shape(x)[1:])
        if self.int8:  # LiteRT accepts no other
            parameters = self.scales(np.array([1 / 256]), np.array([-128]))
            self.new.graph.tensors[output].quantization = parameters
        op = self.new.op("LOGISTIC", [x], output, schema.AbsOptionsT())
        op.builtinOptions, op.builtinOptionsType = None, 0
        self.operators.append(op)
        return output

    def content(self, *outputs: int) -> bytes:
        """The file with these outputs."""
        self.new.graph.outputs, self.new.graph.operators = list(outputs), self.operators
        return flatbuffer.write(self.new.model)

    def _made(self, name: str, inputs, output: int, options) -> int:
        version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3}.get(name, 2) if self.int8 else 1
        self.operators.append(self.new.op(name, inputs, output, options, version))
        return output

    def _kernel(self, filters: int, high: int, wide: int, channels: int, axis: int = 0) -> int:
        shape, outputs = (filters, high, wide, channels), max(filters, channels * (axis == 3))
        if not self.int8:
            return self._constant(self.rng.normal(size=shape).astype(np.float32))
        scales = self.rng.uniform(0.005, 0.02, filters if axis == 0 else channels)
        quantization = self.scales(scales, np.zeros(outputs, np.int64))
        quantization.quantizedDimension = axis
        return self._constant(self.rng.integers(-127, 128, shape).astype(np.int8), quantization)

    def _bias(self, x: int, kernel: int, filters: int) -> int:
        if not self.int8:
            return self._constant(self.rng.normal(size=filters).astype(np.float32))
        before, weights = (self.new.graph.tensors[n].quantization.scale for n in (x, kernel))
        quantization = self.scales(before[0] * weights, np.zeros(filters, np.int64))
        return self._constant(self.rng.integers(-999, 999, filters).astype(np.int32), quantization)

    def _constant(self, values: np.ndarray, quantization=None) -> int:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.new.model.buffers.append(buffer)
        tensor.name, tensor.shape = b"constant", np.array(values.shape, np.int32)
        tensor.type = getattr(_TYPES, values.dtype.name.upper())
        tensor.buffer, tensor.quantization = len(self.new.model.buffers) - 1, quantization
        self.new.graph.tensors.append(tensor)
        return len(self.new.graph.tensors) - 1

    @staticmethod
    def scales(scales: np.ndarray, zero_points: np.ndarray) -> schema.QuantizationParametersT:
        made = schema.QuantizationParametersT()
        made.scale, made.zeroPoint = scales.astype(np.float32), zero_points.astype(np.int64)
        made.details, made.detailsType, made.quantizedDimension = None, 0, 0
        return made
