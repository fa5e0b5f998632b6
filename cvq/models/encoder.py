"""Encoders: images [B, H_img, W_img, C] in [0, 1] -> latents [B, H, W, D].

To add one, write a module with `latent_dim` and a `from_config`, and name it in `ENCODERS`.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from cvq.models import strided
from cvq.models.convolution import Conv


class ResidualBlock(nn.Module):
  """x + 1x1(act(3x3(act(x)))), without bias. x: [B, H, W, width]."""
  width: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    h = Conv(self.width, 3, use_bias=False, name='spatial')(nn.leaky_relu(x))
    return x + Conv(self.width, 1, use_bias=False, name='pointwise')(nn.leaky_relu(h))


class ConvEncoder(nn.Module):
  """The paper's encoder: stride-2 4x4 convolutions, 3x3, residual blocks, 1x1 to D.

  Each entry of `widths` halves the image. Source: Gendron et al. 2023, section 4 and code.
  """
  latent_dim: int
  widths: tuple[int, ...]
  residual_blocks: int

  @classmethod
  def from_config(cls, config, latent_dim: int) -> ConvEncoder:
    return cls(latent_dim, tuple(config.widths), config.residual_blocks)

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    x = images
    for i, width in enumerate(self.widths):
      x = nn.leaky_relu(strided.DownsampleConv(width, name=f'down_{i}')(x))
    x = nn.leaky_relu(Conv(self.widths[-1], 3, name='mix')(x))
    for i in range(self.residual_blocks):
      x = ResidualBlock(self.widths[-1], name=f'residual_{i}')(x)
    return Conv(self.latent_dim, 1, name='out')(nn.leaky_relu(x))


def extract_patches(images: jax.Array, patch: int, margin: int) -> jax.Array:
  """Every patch with its margin: [B, H, W, C] -> [B, H/p, W/p, (p + 2m)^2 C], zeros outside."""
  b, height, width, channels = images.shape
  padded = jnp.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
  side = patch + 2 * margin
  rows = jnp.arange(height // patch)[:, None] * patch + jnp.arange(side)     # [H/p, side]
  cols = jnp.arange(width // patch)[:, None] * patch + jnp.arange(side)
  patches = padded[:, rows[:, None, :, None], cols[None, :, None, :]]
  return patches.reshape(b, height // patch, width // patch, side * side * channels)


class PatchEncoder(nn.Module):
  """Every patch on its own: a code can change only if its patch or its margin changed.

  So an intervention that moves few pixels moves few variables: sparsity by construction.
  """
  latent_dim: int
  width: int
  patch: int
  margin: int

  @classmethod
  def from_config(cls, config, latent_dim: int) -> PatchEncoder:
    return cls(latent_dim, config.width, config.patch, config.margin)

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    # A random bias: an empty patch must not sit at 0, where a unit vector has no direction.
    x = nn.Dense(self.width, name='embed', bias_init=nn.initializers.normal(.1))(
        extract_patches(images, self.patch, self.margin))
    h = nn.Dense(self.width, name='hidden')(nn.gelu(x))
    x = nn.gelu(x) + nn.Dense(self.width, name='residual')(nn.gelu(h))
    return nn.Dense(self.latent_dim, name='out')(nn.LayerNorm(name='norm')(x))


ENCODERS = {'patch': PatchEncoder, 'conv': ConvEncoder}
