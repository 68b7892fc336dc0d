"""The names that the tools give to the delegates."""

#: Delegate -> parts of its names, in lower case.
_PARTS = {
    "xnnpack": ("xnnpack",),
    "gpu": ("gpu", "litert_cl", "litert_opengl", "litert_webgpu", "opencl", "mldrift"),
    "nnapi": ("nnapi",),
    "npu": ("dispatch", "npu", "qnn", "neuron"),
}


def means(name: str, delegate: str) -> bool:
    """Whether a name that a tool prints, such as `TfLiteGpuDelegateV2`, means this delegate."""
    plain = name.lower().replace(" ", "")
    return any(part in plain for part in _PARTS.get(delegate, ()))
