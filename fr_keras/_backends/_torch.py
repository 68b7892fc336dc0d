"""What Keras has no function for, in PyTorch. The functions are those of `_tensorflow`."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch


def is_eager(x: torch.Tensor) -> bool:
    return True


def values(x: torch.Tensor) -> np.ndarray | None:
    return None  # a GPU would have to be waited for, and single operations are fast here


def exactly(product: Callable, x: torch.Tensor, matrix: np.ndarray, adjoint: Callable):
    matrix = torch.tensor(matrix, device=x.device)
    if not (x.is_cuda and torch.backends.cuda.matmul.fp32_precision == "tf32"):
        return product(x, matrix)

    def exact(x):
        with _without_tf32():
            return product(x, matrix)

    return with_gradient(exact, lambda inputs, above: [adjoint(above)], [x])


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


def dct(x: torch.Tensor) -> torch.Tensor:
    """Source: Makhoul, "A Fast Cosine Transform in One and Two Dimensions", 1980."""
    turned = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1))
    return (turned * _turns(x).conj()).real


def idct(x: torch.Tensor) -> torch.Tensor:
    turns = _turns(x)
    # The part that `dct` leaves out; the frequency 0 has none.
    imaginary = torch.nn.functional.pad(-x[..., 1:].flip(-1), (1, 0))
    # Divided by the squared scale of each frequency, the turn is back.
    turned = torch.complex(x, imaginary) * turns / turns.abs().square()
    mixed = torch.fft.ifft(turned).real
    half = -(-x.shape[-1] // 2)
    found = torch.empty_like(x)
    found[..., ::2], found[..., 1::2] = mixed[..., :half], mixed[..., half:].flip(-1)
    return found


def _turns(x: torch.Tensor) -> torch.Tensor:
    """The orthonormal scale of each frequency times its quarter turn."""
    n = x.shape[-1]
    scale = np.full(n, math.sqrt(2 / n))
    scale[0] = math.sqrt(1 / n)
    turns = scale * np.exp(0.5j * math.pi * np.arange(n) / n)
    return torch.tensor(turns.astype(np.complex64), device=x.device)


def pullback(function: Callable, inputs: Sequence[torch.Tensor]) -> tuple:
    inputs = [one.detach().requires_grad_(one.is_floating_point()) for one in inputs]
    with torch.enable_grad():
        outputs = function(*inputs)

    def back(above):
        return torch.autograd.grad(
            outputs, inputs, above, retain_graph=True, materialize_grads=True
        )

    return outputs.detach(), back


def with_gradient(function: Callable, rule: Callable, inputs: Sequence[torch.Tensor]):
    return _WithGradient.apply(function, rule, *inputs)


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, function, rule, *inputs):
        ctx.rule = rule
        ctx.save_for_backward(*inputs)
        return function(*inputs)

    @staticmethod
    def backward(ctx, above):
        return None, None, *ctx.rule(ctx.saved_tensors, above)
