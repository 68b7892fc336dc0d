"""The mixin that holds the kernel of a Keras layer in the DCT domain."""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import ops

from fr_keras import spectral, zigzag
from fr_keras._backends import assign_copy
from fr_keras.layers._refusal import is_l2, refusal
from fr_keras.layers._truncated import Truncated


class FrequencyTwin:
    """The interface of every FR layer: it takes the weights of its plain layer and returns them."""

    def parts(self) -> list["FrequencyKernel"]:
        """Returns the kernels in the DCT domain, as layers that are truncated separately."""
        raise NotImplementedError

    def plain_config(self) -> dict:
        """Returns the config of the plain Keras layer whose twin this layer is."""
        return super().get_config()

    @classmethod
    def plain_kernels(cls, plain: keras.layers.Layer) -> list[keras.Variable]:
        """Returns the weights of a plain twin that `parts()` hold, in the same order."""
        raise NotImplementedError

    @classmethod
    def part_names(cls, plain: keras.layers.Layer) -> list[str]:
        """Returns the names that `parts()` have, without making them."""
        kernels = cls.plain_kernels(plain)
        return [plain.name] if len(kernels) == 1 else [f"{plain.name}_{w.name}" for w in kernels]

    def load_plain(self, plain: keras.layers.Layer) -> None:
        """Sets this layer's weights to those of its plain twin."""
        raise NotImplementedError

    def fill_plain(self, plain: keras.layers.Layer) -> None:
        """Sets the weights of the plain twin to this layer's, not rounded to half precision."""
        raise NotImplementedError


class FrequencyKernel(Truncated, FrequencyTwin):
    """Holds the kernel of a layer as DCT coefficients, and uses only the first `kept` of them.

        kernel = idct_nd(coefficients * mask(kept)),    mask in zigzag order

    A twin inherits from this class and from the Keras layer. The `build` and `call` of the layer
    do the rest, because they know the weight only by its name `kernel`. If the layer gives the
    weight another name, and keeps it as an attribute of that name, the twin sets `weight_name` to
    it. The coefficients replace the kernel as one trainable tensor of the same shape. They are
    masked on every read, because an optimizer with momentum keeps moving cut coefficients.

    The inverse transform runs in float32 under every dtype policy; the kernel is cast to the
    compute dtype last.

    Args:
        *args: The arguments of the plain layer, in the same order.
        axis_weights: Weights of the kernel's axes in the zigzag order, one number per axis, at
            least 0.001 and exact to a thousandth. A larger weight keeps fewer frequencies along its
            axis. `None` gives every axis the weight 1.
        stored: Corner of the spectrum that the layer stores, one length per axis. It takes less
            memory, and less time where the layer can compute from a corner. At first the layer
            keeps as many coefficients as fit into the corner in zigzag order. `None` stores the
            whole spectrum.
        **kwargs: The keyword arguments of the plain layer.

    Raises:
        ValueError: If an argument has no meaning for coefficients: a kernel constraint, a kernel
            regularizer other than L2 (by Parseval's theorem, L2 is the same in both domains; L1
            is not), LoRA, or a quantized dtype policy.

    Source: Zhao et al., "Frequency Regularization", IEEE Access 2023, arXiv 2304.07973.
    """

    #: Name of the weight that is held as coefficients, and of the attribute that returns it.
    weight_name = "kernel"
    #: An initializer of the coefficients, in place of that of the kernel, which makes a tensor of
    #: the kernel's size. Set it before the layer is built if the values are known.
    beginning = None
    #: A function from the coefficients to those that the layer computes with; `ArchiveRounding`
    #: sets it while a model trains.
    rounding = None

    def __init__(
        self,
        *args,
        axis_weights: Sequence[float] | None = None,
        stored: Sequence[int] | None = None,
        **kwargs,
    ):
        # First, because a layer may create its weights in `__init__`.
        self.axis_weights = None if axis_weights is None else tuple(map(float, axis_weights))
        self.stored = None if stored is None else tuple(stored)
        super().__init__(*args, **kwargs)
        reason = refusal(self)
        if reason is not None:
            raise ValueError(reason)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        twins = [one for one in cls.__mro__ if issubclass(one, FrequencyTwin)]
        if not any(cls.weight_name in vars(one) for one in twins):
            setattr(cls, cls.weight_name, FrequencyKernel.kernel)

    def add_weight(self, *args, name=None, **kwargs):
        if name != self.weight_name:
            return super().add_weight(*args, name=name, **kwargs)
        given = dict(zip(("shape", "initializer", "dtype"), args, strict=False))
        self._add_coefficients(**given, **kwargs)
        # The layer may store the result in any attribute, and coefficients are not a kernel.
        return None

    def _add_coefficients(
        self, shape=(), initializer=None, trainable=True, regularizer=None, constraint=None, **_
    ) -> None:
        regularizer = keras.regularizers.get(regularizer)
        self._check_weight(shape, regularizer, constraint)
        initializer = keras.initializers.get(initializer or "glorot_uniform")
        self._kernel_shape = tuple(shape)
        self.spectrum_shape = self.spectrum_of(self._kernel_shape)
        shape = self._checked_stored()
        size = zigzag.count_within(self.spectrum_shape, shape, self.axis_weights)

        def transformed(shape, dtype=None):
            kernel = ops.reshape(initializer(self._kernel_shape), self.spectrum_shape)
            return spectral.dct_nd(kernel, corner=shape)

        self.coefficients = super().add_weight(
            name="coefficients",
            shape=shape,
            initializer=self.beginning or transformed,
            # Half precision, by policy or by autocasting, would round before the transform.
            dtype="float32",
            autocast=False,
            trainable=trainable,
            regularizer=None if regularizer is None else lambda c: regularizer(self._masked(c)),
        )
        self.beginning = None  # it may hold another model
        self._add_state(size)

    def _check_weight(self, shape, regularizer, constraint) -> None:
        """Checks what a layer passes to `add_weight` without an argument that was checked."""
        if hasattr(self, "coefficients"):
            raise ValueError(
                f"`weight_name` must name only one weight of layer '{self.name}'. "
                f"Received: {self.weight_name!r} a second time"
            )
        of = f"of the weight '{self.weight_name}' that layer '{self.name}' adds"
        if not len(shape):
            raise ValueError(f"`shape` {of} must have at least one axis. Received: ()")
        if constraint is not None:
            raise ValueError(
                f"`constraint` {of} must be None: it would act on the coefficients, not on the "
                f"kernel. Received: {constraint}"
            )
        if regularizer is not None and not is_l2(regularizer):
            raise ValueError(
                f"`regularizer` {of} must be None or keras.regularizers.L2, the only penalty that "
                f"is the same for kernel and coefficients. Received: {regularizer}"
            )

    def _checked_stored(self) -> tuple[int, ...]:
        """The shape of the coefficients that are held."""
        whole = self.spectrum_shape
        stored = whole if self.stored is None else self.stored
        fits = len(stored) == len(whole) and all(
            isinstance(r, int) and 1 <= r <= n for r, n in zip(stored, whole, strict=True)
        )
        if not fits:
            raise ValueError(
                f"`stored` must hold a length for each axis of the spectrum {whole} of layer "
                f"'{self.name}', from 1 to the length of the axis. Received: stored={stored}"
            )
        return stored

    def spectrum_of(self, kernel_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the whole spectrum of a kernel."""
        return kernel_shape

    @property
    def kernel(self):
        """The spatial kernel, rebuilt from the kept coefficients in the compute dtype."""
        if not hasattr(self, "coefficients"):
            raise AttributeError("You must build the layer before accessing `kernel`.")
        return ops.cast(self.float32_kernel(), self.compute_dtype)

    @kernel.setter
    def kernel(self, value):
        if value is not None:  # what `add_weight` returned
            name = self.weight_name
            raise AttributeError(
                f"`{name}` of layer '{self.name}' is rebuilt from `coefficients`, so it must not "
                f"be assigned: create it with `add_weight(..., name='{name}')`, and set its "
                "values with `set_kernel`."
            )

    def float32_kernel(self):
        """Returns the spatial kernel in float32, whatever the compute dtype of the layer."""
        kernel = spectral.idct_nd(self._used_coefficients(), shape=self.spectrum_shape)
        return ops.reshape(kernel, self._kernel_shape)

    def _used_coefficients(self):
        kept = self._masked(self.coefficients)
        return kept if self.rounding is None else self.rounding(kept)

    def set_coefficients(self, values) -> None:
        """Replaces the coefficients; those beyond `kept` are set to zero.

        Args:
            values: Finite array of the shape of `coefficients`.

        Raises:
            ValueError: If the shape is wrong, or a value is NaN or infinite.
        """
        values = self._checked(values, "values", tuple(self.coefficients.shape), "coefficients")
        self.coefficients.assign(self._masked(values.astype(np.float32)))

    def set_kernel(self, kernel) -> None:
        """Sets the coefficients to the DCT of a spatial kernel of the plain layer's shape."""
        kernel = self._checked(kernel, "kernel", self._kernel_shape, "kernel")
        kernel = kernel.reshape(self.spectrum_shape)
        self.set_coefficients(spectral.dct_nd(kernel, corner=self.coefficients.shape))

    def get_config(self):
        return {
            **super().get_config(),
            "axis_weights": self.axis_weights,
            "stored": self.stored,
        }

    def parts(self) -> list["FrequencyKernel"]:
        return [self]

    @classmethod
    def plain_kernels(cls, plain):
        return [getattr(plain, cls.weight_name)]

    def load_plain(self, plain):
        (kernel,) = self.plain_kernels(plain)
        self.set_kernel(ops.convert_to_numpy(ops.cast(kernel, "float32")))
        for own, its in self.other_weights(plain):
            assign_copy(own, its)

    def fill_plain(self, plain):
        (kernel,) = self.plain_kernels(plain)
        kernel.assign(self.float32_kernel())
        for own, its in self.other_weights(plain):
            assign_copy(its, own)

    def other_weights(self, plain) -> Iterator[tuple[keras.Variable, keras.Variable]]:
        """Yields the other weights of this layer and its plain twin, pair by pair."""
        held = (*self.held(), *self.plain_kernels(plain))
        held = {id(one) for one in held}
        own, its = ([w for w in layer.weights if id(w) not in held] for layer in (self, plain))
        if [tuple(w.shape) for w in own] != [tuple(w.shape) for w in its]:
            raise ValueError(
                "`twin` must have the same weights as its plain layer, apart from the kernel. "
                f"Received: layer '{self.name}' of type {type(self).__name__} with "
                f"{[w.name for w in own]} instead of {[w.name for w in its]}"
            )
        return zip(own, its, strict=True)

    # The base layer stores variables in their order; Keras' dense layers would store the kernel.
    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, self._load_state(store))
        # The boundary follows from `kept`; a file of another version may hold another key.
        self.limit()

    def quantize(self, mode=None, *args, **kwargs):
        raise NotImplementedError(
            f"Layer '{self.name}' holds DCT coefficients, not a kernel that Keras could quantize. "
            "Use `fr_keras.bake(model)` first, or `fr_keras.tflite.convert(model, ...)`."
        )

    def enable_lora(self, *args, **kwargs):
        raise NotImplementedError(
            f"Layer '{self.name}' holds DCT coefficients, not a kernel that LoRA could adapt. "
            "Use `fr_keras.bake(model)` first."
        )

    def _checked(self, values, argument: str, shape: tuple[int, ...], of: str) -> np.ndarray:
        values = np.asarray(values)
        if values.shape != shape:
            raise ValueError(
                f"`{argument}` must have the shape {shape} of the {of} of layer '{self.name}'. "
                f"Received: shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"`{argument}` of layer '{self.name}' must be finite. Received: "
                f"{np.count_nonzero(~np.isfinite(values))} NaN or infinite of {values.size} values"
            )
        return values
