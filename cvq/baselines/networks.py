"""Convolutional encoder and decoder of the latent baselines."""

from __future__ import annotations

import flax.linen as nn
import jax

from cvq.models import strided


class Encoder(nn.Module):
  """Each entry of `widths` halves the image: [n, H, W, C] -> [n, outputs]."""
  widths: tuple[int, ...]
  hidden: int
  outputs: int

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    x = images
    for i, width in enumerate(self.widths):
      x = nn.gelu(strided.DownsampleConv(width, name=f'down_{i}')(x))
    x = nn.gelu(nn.Dense(self.hidden, name='hidden')(x.reshape(x.shape[0], -1)))
    return nn.Dense(self.outputs, name='out')(x)


class Decoder(nn.Module):
  """The encoder's mirror: [n, L] -> [n, H, W, C], logits or means."""
  widths: tuple[int, ...]
  hidden: int
  image_shape: tuple[int, int, int]

  @nn.compact
  def __call__(self, latents: jax.Array) -> jax.Array:
    height, width, channels = self.image_shape
    stride = 2 ** len(self.widths)
    grid = height // stride, width // stride, self.widths[-1]
    x = nn.gelu(nn.Dense(self.hidden, name='hidden')(latents))
    x = nn.gelu(nn.Dense(grid[0] * grid[1] * grid[2], name='grid')(x))
    x = x.reshape(-1, *grid)
    for i, features in enumerate((*self.widths[-2::-1], channels)):
      x = strided.UpsampleConv(features, name=f'up_{i}')(x)
      x = nn.gelu(x) if i + 1 < len(self.widths) else x
    return x
