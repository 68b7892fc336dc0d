"""Tucker-2: a kernel as a smaller core between two matrices."""

import dataclasses

import numpy as np

#: The longest side of which all singular vectors are computed; those of a longer one are drawn.
LONGEST = 4096
_ROUNDS, _CHANGE = 100, 1e-4
_NOTHING = 1e-3  # of the energy: an error whose changes may be rounding
_MORE, _POWERS = 10, 4  # of the randomized one: vectors beside those that are asked for, and rounds
_LARGE = 1 << 24  # numbers, from which kernels stay in single precision


@dataclasses.dataclass(frozen=True)
class Factors:
    """A kernel `(k, s, t)`, which is `before @ core @ after` for each of the `k` positions.

    Attributes:
        before: `(s, r_in)` with orthonormal columns, or `None` for the identity.
        core: `(k, r_in, r_out)`.
        after: `(r_out, t)` with orthonormal rows, or `None` for the identity.
    """

    before: np.ndarray | None
    core: np.ndarray
    after: np.ndarray | None

    def kernel(self) -> np.ndarray:
        """Returns the kernel `(k, s, t)`."""
        found = self.core if self.before is None else self.before @ self.core
        return found if self.after is None else found @ self.after


def tucker2(kernel: np.ndarray, ranks: tuple[int, int]) -> Factors:
    """Returns the factors of a kernel with the least error, by higher-order orthogonal iteration.

    The two matrices take turns: each becomes the leading singular vectors of what the other leaves
    of the kernel, until the error `|K|^2 - |core|^2` changes by less than 0.01 %. A rank that is
    the whole axis leaves it as it is. If one is, the result is the best one, and for a matrix a
    truncated singular value decomposition.

    If a side of an unfolded kernel and its other side are longer than `LONGEST`, its singular
    vectors are approximated by a randomized decomposition, whose memory is bounded by the kernel
    and the vectors.

    Args:
        kernel: Array of shape `(k, s, t)`.
        ranks: The ranks `(r_in, r_out)` of the axes `s` and `t`.

    Source: De Lathauwer, De Moor, Vandewalle, "On the best rank-1 and rank-(R1, ..., RN)
    approximation of higher-order tensors", SIAM J. Matrix Anal. Appl. 21, 2000. Halko, Martinsson,
    Tropp, "Finding structure with randomness", SIAM Review 53, 2011.
    """
    kernel = precise(kernel)
    _, s, t = kernel.shape
    u = leading(_unfolded(kernel, 1), ranks[0]) if ranks[0] < s else None
    v = _right(kernel, u, ranks[1]) if ranks[1] < t else None
    if u is not None and v is not None:
        u, v = _in_turns(kernel, u, v)
    core = kernel if u is None else u.T @ kernel
    return Factors(u, core if v is None else core @ v, None if v is None else v.T)


def fitted(
    kernel: np.ndarray,
    ranks: tuple[int, int],
    root: np.ndarray | None,
    outputs: np.ndarray | None,
) -> Factors:
    """Returns factors whose outputs are near those of a kernel.

    The matrix behind the core are the leading directions of the outputs, which are the best ones if
    the input axis stays whole; for a matrix that is so with both. The one before it has the least
    error of the outputs if neighbouring positions were not alike.

    Args:
        kernel: Array of shape `(k, s, t)`.
        ranks: The ranks `(r_in, r_out)`.
        root: The root of the covariance of the inputs, `(s, s)`, which can be inverted; `None` if
            the inputs vary alike in all directions.
        outputs: The covariance of the outputs, `(t, t)`; `None` if it is that of the kernel.

    Source: Zhang et al., "Accelerating very deep convolutional networks for classification and
    detection", 2015, arXiv 1505.06798, without their nonlinear part.
    """
    kernel = precise(kernel)
    _, s, t = kernel.shape
    seen = kernel if root is None else root @ kernel
    v = None
    if ranks[1] < t and outputs is None:
        v = leading(_unfolded(seen, 2), ranks[1])
    elif ranks[1] < t:
        v = np.linalg.eigh(outputs)[1][:, ::-1][:, : ranks[1]]
    core, seen = (one if v is None else one @ v for one in (kernel, seen))
    u = leading(_unfolded(seen, 1), ranks[0]) if ranks[0] < s else None
    if u is not None and root is None:
        core = u.T @ core
    elif u is not None:
        # root^-1 u u^T root K: the first matrix becomes orthonormal, and the core has the rest.
        core = u.T @ seen
        u, rest = np.linalg.qr(np.linalg.solve(root, u))
        core = rest @ core
    return Factors(u, core, None if v is None else v.T)


def leading(matrix: np.ndarray, count: int) -> np.ndarray:
    """Returns the first left singular vectors of a matrix, `(rows, count)`."""
    rows, columns = matrix.shape
    if min(rows, columns) > LONGEST:
        return _randomized(matrix, count)
    if rows <= columns:
        return np.linalg.eigh(matrix @ matrix.T)[1][:, ::-1][:, :count]
    right = np.linalg.eigh(matrix.T @ matrix)[1][:, ::-1][:, :count]
    # Behind the rank of the matrix, any directions will do: those of `qr`.
    found = np.zeros((rows, count), matrix.dtype)
    found[:, : right.shape[1]] = matrix @ right
    return np.linalg.qr(found)[0]


def singular_values(kernel: np.ndarray, axis: int) -> np.ndarray:
    """Returns the singular values of a kernel `(k, s, t)` unfolded along an axis.

    Of a matrix with both sides longer than `LONGEST`, a randomized decomposition gives the first
    `LONGEST // 4`, and all others are taken as equal, so that the sum of the squares is right.
    """
    matrix = _unfolded(precise(kernel), axis)
    rows, columns = matrix.shape
    if min(rows, columns) > LONGEST:
        basis = _randomized(matrix, LONGEST // 4)
        first = np.linalg.svd(basis.T @ matrix, compute_uv=False)
        left = np.square(matrix, dtype=np.float64).sum() - np.square(first, dtype=np.float64).sum()
        others = min(rows, columns) - len(first)
        return np.append(first, np.full(others, np.sqrt(max(left, 0) / others)))
    small = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    return np.sqrt(np.maximum(np.linalg.eigvalsh(small)[::-1], 0))


def is_randomized(shape: tuple[int, int, int]) -> bool:
    """Whether the singular vectors of a kernel `(k, s, t)` are approximated."""
    k, s, t = shape
    return min(s, k * t) > LONGEST or min(t, k * s) > LONGEST


def precise(kernel: np.ndarray) -> np.ndarray:
    """The kernel in double precision, if it is not too large."""
    return kernel.astype(np.float32 if kernel.size > _LARGE else np.float64, copy=False)


def _in_turns(kernel: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    energy, before = np.square(kernel).sum(), np.inf
    for _ in range(_ROUNDS):
        u = leading(_unfolded(kernel @ v, 1), u.shape[1])
        v = _right(kernel, u, v.shape[1])
        error = energy - np.square(u.T @ kernel @ v).sum()
        if abs(before - error) <= _CHANGE * max(error, _NOTHING * energy):
            break
        before = error
    return u, v


def _right(kernel: np.ndarray, u: np.ndarray | None, count: int) -> np.ndarray:
    return leading(_unfolded(kernel if u is None else u.T @ kernel, 2), count)


def _unfolded(kernel: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1)


def _randomized(matrix: np.ndarray, count: int) -> np.ndarray:
    """The first left singular vectors from a few products with random vectors."""
    rng = np.random.default_rng(0)
    width = min(count + _MORE, *matrix.shape)
    basis = np.linalg.qr(matrix @ rng.standard_normal((matrix.shape[1], width), matrix.dtype))[0]
    for _ in range(_POWERS):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    left = np.linalg.svd(basis.T @ matrix, full_matrices=False)[0]
    return (basis @ left)[:, :count]
