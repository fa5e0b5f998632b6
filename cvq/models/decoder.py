"""Decoders: latents [B, H, W, D] -> pixel logits or means [B, H_img, W_img, C].

To add one, write a module with `channels` and a `from_config`, and name it in `DECODERS`.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from cvq.models import strided
from cvq.models.convolution import Conv
from cvq.models.encoder import ResidualBlock


class ConvDecoder(nn.Module):
  """The mirror of the paper's encoder: 3x3, residual blocks, transposed 4x4 convolutions."""
  channels: int
  widths: tuple[int, ...]
  residual_blocks: int
  bias: float

  @classmethod
  def from_config(cls, config, channels: int) -> ConvDecoder:
    return cls(channels, tuple(config.widths), config.residual_blocks, config.bias)

  @nn.compact
  def __call__(self, latents: jax.Array) -> jax.Array:
    x = Conv(self.widths[0], 3, name='mix')(latents)
    for i in range(self.residual_blocks):
      x = ResidualBlock(self.widths[0], name=f'residual_{i}')(x)
    x = nn.leaky_relu(x)
    for i, width in enumerate((*self.widths[1:], self.channels)):
      x = strided.UpsampleConv(width, name=f'up_{i}')(x)
      x = nn.leaky_relu(x) if i + 1 < len(self.widths) else x + self.bias
    return x


def shifted_neighbours(x: jax.Array) -> jax.Array:
  """The 3x3 neighbours of every position side by side: [B, H, W, D] -> [B, H, W, 9 D]."""
  _, height, width, _ = x.shape
  padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  return jnp.concatenate(
      [padded[:, r:r + height, c:c + width] for r in range(3) for c in range(3)], axis=-1)


class PatchDecoder(nn.Module):
  """Every position draws its own patch of pixels, from its 3x3 neighbours on the grid."""
  channels: int
  width: int
  inner: int
  patch: int
  bias: float

  @classmethod
  def from_config(cls, config, channels: int) -> PatchDecoder:
    return cls(channels, config.width, config.inner, config.patch, config.bias)

  @nn.compact
  def __call__(self, latents: jax.Array) -> jax.Array:
    b, height, width, _ = latents.shape
    x = nn.gelu(nn.Dense(self.inner, name='inner')(latents))
    x = nn.gelu(nn.Dense(self.width, name='mix')(shifted_neighbours(x)))
    h = nn.gelu(nn.Dense(self.width, name='hidden')(x))
    x = x + nn.Dense(self.width, name='residual')(h)
    p, c = self.patch, self.channels
    x = nn.Dense(p * p * c, name='pixels', bias_init=nn.initializers.constant(self.bias))(x)
    x = x.reshape(b, height, width, p, p, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, height * p, width * p, c)


DECODERS = {'patch': PatchDecoder, 'conv': ConvDecoder}
