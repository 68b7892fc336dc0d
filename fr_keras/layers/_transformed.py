"""The mixin of layers that compute with a function of their kernels."""

import keras
from keras import ops

from fr_keras._backends import exact_type


class TransformedKernel:
    """Trains the kernels of a Keras layer, and computes with a function of them.

    A class inherits from this one and from the Keras layer, whose `build` and `call` do the rest:
    they know a kernel only by its name. The function runs in float32 under every dtype policy of
    half precision; the result is cast to the compute dtype last.
    """

    #: Names of the weights that are transformed, and of the attributes that return the result.
    kernel_names: tuple[str, ...] = ("kernel",)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in cls.kernel_names:
            setattr(cls, name, _property(name))

    def transformed(self, name: str, kernel):
        """Returns what the layer computes with in place of a kernel.

        Args:
            name: The name of the weight.
            kernel: Its values, in float32 or float64.
        """
        raise NotImplementedError

    def exact_kernel(self, name: str) -> keras.Variable:
        """Returns the weight that is trained, by its name."""
        if not hasattr(self, _attribute(name)):
            raise AttributeError(f"You must build the layer before accessing `{name}`.")
        return getattr(self, _attribute(name))

    def float32_kernel(self, name: str):
        """Returns the result for a kernel before it is cast to the compute dtype of the layer."""
        kernel = self.exact_kernel(name)
        exact = exact_type(kernel.dtype)
        return self.transformed(name, ops.cast(kernel, exact))

    def add_weight(self, *args, name=None, **kwargs):
        if name not in self.kernel_names:
            return super().add_weight(*args, name=name, **kwargs)
        # Half precision, by autocasting, would round before the function.
        weight = super().add_weight(*args, name=name, **{**kwargs, "autocast": False})
        setattr(self, _attribute(name), weight)
        return weight

    # Keras' dense and convolution layers store `self.kernel` by name: the result would be loaded as
    # the weight. The base layer stores its variables in their order.
    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


def straight_through(values, kernel, slope=1.0):
    """Returns exactly `values`, with the gradient `slope` with respect to `kernel`."""
    slope = ops.stop_gradient(ops.convert_to_tensor(slope, kernel.dtype))
    return ops.stop_gradient(values) + slope * (kernel - ops.stop_gradient(kernel))


def _attribute(name: str) -> str:
    return f"_exact_{name}"


def _property(name: str) -> property:
    def get(self):
        return ops.cast(self.float32_kernel(name), self.compute_dtype)

    def keep(self, value):
        # Transposed and depthwise layers assign what `add_weight` returned.
        setattr(self, _attribute(name), value)

    return property(get, keep, doc="The kernel that the layer computes with.")
