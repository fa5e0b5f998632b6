"""Strided and transposed 4x4 convolutions as unit-stride 2x2 ones.

XLA runs transposed convolutions, and the gradient of strided ones, on a naive path on the CPU.
Both are exactly a 2x2 convolution between space-to-depth and depth-to-space rearrangements, with
the same number of multiplications. Kernels keep their usual layout, [4, 4, in, out].
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from cvq.models.convolution import convolve


def downsample_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """4x4 convolution, stride 2, padding 1: [B, 2H, 2W, I] -> [B, H, W, O].

  Args:
    x: [B, 2H, 2W, I]. kernel: [4, 4, I, O].
  """
  b, height, width, i = x.shape
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  x = x.reshape(b, height // 2 + 1, 2, width // 2 + 1, 2, i)
  x = x.transpose(0, 1, 3, 2, 4, 5).reshape(b, height // 2 + 1, width // 2 + 1, 4 * i)
  k = kernel.reshape(2, 2, 2, 2, i, -1).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * i, -1)
  return convolve(x, k)


def upsample_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Transposed 4x4 convolution, stride 2, padding 1: [B, H, W, I] -> [B, 2H, 2W, O].

  Output row 2i + p sees input rows i - 1 + p and i + p; `kernel` is that of
  `lax.conv_transpose(x, kernel, (2, 2), 'SAME')`.

  Args:
    x: [B, H, W, I]. kernel: [4, 4, I, O].
  """
  b, height, width, i = x.shape
  out = kernel.shape[-1]
  # kernel row 2r + p meets window row r of phase p.
  k = kernel.reshape(2, 2, 2, 2, i, out).transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, i, 4 * out)
  y = convolve(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), k)
  y = y.reshape(b, height + 1, width + 1, 2, 2, out)
  rows = jnp.stack([y[:, :-1, :, 0], y[:, 1:, :, 1]], axis=2)                # [B, H, 2, W+1, 2, O]
  cells = jnp.stack([rows[:, :, :, :-1, 0], rows[:, :, :, 1:, 1]], axis=4)   # [B, H, 2, W, 2, O]
  return cells.reshape(b, 2 * height, 2 * width, out)


class _StridedConv(nn.Module):
  """Kernel and bias around one of the functions above."""
  features: int

  def weights(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    return kernel, self.param('bias', nn.initializers.zeros, (self.features,))


class DownsampleConv(_StridedConv):
  """[B, 2H, 2W, I] -> [B, H, W, features]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    kernel, bias = self.weights(x)
    return downsample_conv(x, kernel) + bias


class UpsampleConv(_StridedConv):
  """[B, H, W, I] -> [B, 2H, 2W, features]."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    kernel, bias = self.weights(x)
    return upsample_conv(x, kernel) + bias
