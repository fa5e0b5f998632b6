"""Convolutions of stride 1, on a CPU by matrix products.

XLA's convolutions on the CPU reach a third of the rate of its matrix products, above all in the
gradient with respect to the kernel. On accelerators its own convolutions are the fast way.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cvq.models import winograd


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Stride 1, no padding: [B, H, W, I], [h, w, I, O] -> [B, H - h + 1, W - w + 1, O]."""
  return lax.platform_dependent(x, kernel, cpu=_by_products, default=_by_convolution)


def _by_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  return lax.conv_general_dilated(
      x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


@jax.checkpoint                       # or every window is kept for the gradient
def _by_products(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """In tiles where that saves multiplications; few channels or a small grid go directly."""
  (_, height, width, _), (h, w, i, o) = x.shape, kernel.shape
  rows, cols = height - h + 1, width - w + 1
  cost = lambda tile: winograd.multiplications(x.shape, kernel.shape, tile)
  tile = min(winograd.tiles(h, w), key=cost, default=None)
  # Tiles lose a digit, which half precision does not have to spare.
  if tile and x.dtype.itemsize >= 4 and cost(tile) < rows * cols * kernel.size:
    return winograd.convolve(x, kernel, tile)
  places = [(slice(r, r + rows), slice(c, c + cols)) for r in range(h) for c in range(w)]
  if rows * cols * i < height * width * o:              # whichever side is the smaller, repeated
    windows = jnp.concatenate([x[:, r, c] for r, c in places], axis=-1)
    return windows @ kernel.reshape(-1, o)
  products = jnp.split(x @ kernel.transpose(2, 0, 1, 3).reshape(i, -1), h * w, axis=-1)
  return sum(product[:, r, c] for product, (r, c) in zip(products, places))


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
