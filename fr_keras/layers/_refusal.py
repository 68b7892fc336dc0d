"""Which arguments of a layer have no meaning for coefficients."""

import keras


def is_l2(regularizer) -> bool:
    """Whether a penalty is only L2. Old .h5 files store L2 as an L1L2 without L1."""
    kind = type(regularizer)
    return kind is keras.regularizers.L2 or (
        kind is keras.regularizers.L1L2 and float(regularizer.l1) == 0
    )


def refusal(layer: keras.layers.Layer) -> str | None:
    """Returns why a layer, plain or FR, cannot hold coefficients; `None` if it can."""
    for name, value in vars(layer).items():
        name = name.removeprefix("_")
        if value is None or "bias" in name or "activity" in name:
            continue
        if name.endswith("_regularizer") and not is_l2(value):
            return (
                f"`{name}` must be None or keras.regularizers.L2, the only penalty that is the "
                f"same for kernel and coefficients. Received: {value}"
            )
        if name.endswith("_constraint"):
            return (
                f"`{name}` must be None: it would act on the coefficients, not on the kernel. "
                f"Received: {value}"
            )
    return adapted(layer)


def adapted(layer: keras.layers.Layer) -> str | None:
    """Returns why the kernel of a layer is not a plain weight; `None` if it is one."""
    if getattr(layer, "lora_rank", None):
        return f"`lora_rank` must be None: there is no kernel to adapt. Received: {layer.lora_rank}"
    if layer.quantization_mode is not None:
        return (
            "`dtype` must not be a quantized policy: quantize when you convert the model instead. "
            f"Received: dtype={layer.dtype_policy}"
        )
    return None


def misnamed(layer: keras.layers.Layer, weight_name: str) -> str | None:
    """Returns why a twin with that `weight_name` cannot hold a weight of a layer, or `None`."""
    held = getattr(layer, weight_name, None)
    if any(one is held and one.name == weight_name for one in layer.weights):
        return None
    return (
        "`weight_name` of its twin must name a weight that the layer keeps as an attribute of that "
        f"name. Received: '{weight_name}' for weights named {[one.name for one in layer.weights]}"
    )
