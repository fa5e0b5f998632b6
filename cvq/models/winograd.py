"""Convolutions in few multiplications: three linear maps around one batched matrix product.

Output tiles of m x m need (m + k - 1)^2 multiplications a pair of channels instead of (m k)^2, 36
instead of 144 for 4x4 outputs of a 3x3 kernel. All is linear in the input and in the kernel, so
that the gradient needs as few.

Source: Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4; the
matrices are those of Toom and Cook, who multiply polynomials by their values at some points.
"""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

# Another point is at infinity. Of six points these err least: the usual -2 instead of -1/2 errs
# half as much again, and more points err ten times as much.
POINTS = (0, 1, -1, 2, -1 / 2)


def convolve(x: jax.Array, kernel: jax.Array, tile: tuple[int, int]) -> jax.Array:
  """Stride 1, no padding: [B, H, W, I], [h, w, I, O] -> [B, H - h + 1, W - w + 1, O].

  Args:
    tile: rows and columns of outputs that are computed together, one of `tiles`.
  """
  (b, height, width, i), (h, w, _, o) = x.shape, kernel.shape
  (m, p), rows, cols = tile, height - h + 1, width - w + 1
  down, right = -(-rows // m), -(-cols // p)                   # tiles
  of_input, of_kernel, of_output = (
      jnp.asarray(np.kron(*pair), x.dtype) for pair in zip(matrices(m, h), matrices(p, w)))
  points = len(of_input)
  x = jnp.pad(x, ((0, 0), (0, (down + 1) * m - height), (0, (right + 1) * p - width), (0, 0)))
  x = _windows(_windows(x, 1, m, m + h - 1), 3, p, p + w - 1)
  x = x.transpose(2, 4, 0, 1, 3, 5).reshape(points, -1)        # [points, B * tiles * I]
  x = (of_input @ x).reshape(points, -1, i)
  k = (of_kernel @ kernel.reshape(h * w, -1)).reshape(points, i, o)
  y = of_output.T @ (x @ k).reshape(points, -1)                # [m * p, B * tiles * O]
  y = y.reshape(m, p, b, down, right, o).transpose(2, 3, 0, 4, 1, 5)
  return y.reshape(b, down * m, right * p, o)[:, :rows, :cols]


def _windows(x: jax.Array, axis: int, step: int, size: int) -> jax.Array:
  """Windows that overlap, size <= 2 step: [..., (t + 1) * step, ...] -> [..., t, size, ...]."""
  x = x.reshape(*x.shape[:axis], -1, step, *x.shape[axis + 1:])
  take = lambda x, axis, start, stop: jax.lax.slice_in_dim(x, start, stop, axis=axis)
  following = take(take(x, axis, 1, None), axis + 1, 0, size - step)
  return jnp.concatenate([take(x, axis, 0, -1), following], axis + 1)


def matrices(m: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Of m outputs of a kernel of k: input [n, n], kernel [n, k], output [n, m]; n = m + k - 1.

  A convolution in one dimension is output.T @ ((input @ x) * (kernel @ k)): the transpose of a
  product of polynomials, so the input takes the transpose of the interpolation.
  """
  n = m + k - 1
  values = lambda size: np.vstack(
      [np.vander(POINTS[:n - 1], size, increasing=True), np.eye(size)[-1:]])
  return np.linalg.inv(values(n)).T, values(k), values(m)


def tiles(h: int, w: int) -> list[tuple[int, int]]:
  """What there are points for, and where a window ends in the next tile, of a kernel [h, w]."""
  sides = lambda k: range(max(1, k - 1), len(POINTS) + 3 - k)
  return list(itertools.product(sides(h), sides(w)))


def multiplications(x: tuple[int, ...], kernel: tuple[int, ...], tile: tuple[int, int]) -> int:
  """Of `convolve` for each image of a batch, by the shapes of its arguments.

  The maps of input and output are counted; that of the kernel is not, as a batch needs it once.
  """
  (_, height, width, _), (h, w, i, o), (m, p) = x, kernel, tile
  count = math.ceil((height - h + 1) / m) * math.ceil((width - w + 1) / p)
  points = (m + h - 1) * (p + w - 1)
  return count * points * (i * o + points * i + m * p * o)
