"""Convolutions of stride 1, on a CPU as sums of matrix products.

XLA's convolutions on the CPU reach a third of the rate of its matrix products, above all in the
gradient with respect to the kernel; one product for each place of the kernel, of slices of the
input, takes about half the time. On accelerators its own convolutions are the fast way.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Stride 1, no padding: [B, H, W, I], [h, w, I, O] -> [B, H - h + 1, W - w + 1, O]."""
  return lax.platform_dependent(x, kernel, cpu=_by_products, default=_by_convolution)


def _by_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  return lax.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


@jax.checkpoint                       # or every slice is kept for the gradient
def _by_products(x: jax.Array, kernel: jax.Array) -> jax.Array:
  rows, cols = x.shape[1] - kernel.shape[0] + 1, x.shape[2] - kernel.shape[1] + 1
  return sum(x[:, r:r + rows, c:c + cols] @ kernel[r, c]
             for r in range(kernel.shape[0]) for c in range(kernel.shape[1]))


class Conv(nn.Module):
  """Stride 1, an odd kernel, as large outside as inside: [B, H, W, I] -> [B, H, W, features]."""
  features: int
  size: int
  use_bias: bool = True

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (self.size, self.size, x.shape[-1], self.features)
    margin = (self.size // 2, self.size // 2)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    y = convolve(jnp.pad(x, ((0, 0), margin, margin, (0, 0))), kernel)
    return y + self.param('bias', nn.initializers.zeros, (self.features,)) if self.use_bias else y
