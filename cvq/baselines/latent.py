"""An autoencoder with a few global latents, and a transition among them.

An action leads from the latents of x to a predicted point; the nearer the latents of y lie to it,
the likelier the action. What the autoencoder is, `vae` and `qlae` say.
"""

from __future__ import annotations

import abc
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from cvq import losses
from cvq.baselines.networks import Decoder


class Mlp(nn.Module):
  """How far every action moves latents: [n, L] -> [n, A, L]."""
  width: int
  num_actions: int

  @nn.compact
  def __call__(self, z: jax.Array) -> jax.Array:
    n, latents = z.shape
    a = self.num_actions
    action = jnp.broadcast_to(jnp.eye(a), (n, a, a))
    x = jnp.concatenate([jnp.broadcast_to(z[:, None], (n, a, latents)), action], axis=-1)
    x = nn.gelu(nn.Dense(self.width, name='mix')(x))
    x = nn.gelu(nn.Dense(self.width, name='hidden')(x))
    return nn.Dense(latents, name='out')(x)


class Latent(nn.Module, abc.ABC):
  """Attributes:
    latents: L. width: of the transition. joint: its gradient reaches the encoder; otherwise the
      representation is that of the autoencoder alone.
  """
  widths: tuple[int, ...]
  hidden: int
  latents: int
  width: int
  joint: bool
  likelihood: str
  image_shape: tuple[int, int, int]
  num_actions: int

  def setup(self):
    self.decoder = Decoder(self.widths, self.hidden, self.image_shape)
    self.transition = Mlp(self.width, self.num_actions)
    # Where QLAE's ends: a step of Adam moves it by no more than about the learning rate.
    self.log_temperature = self.param(
        'log_temperature', nn.initializers.constant(math.log(.1)), ())

  def __call__(self, images: jax.Array, actions: jax.Array):
    """Touches every parameter. images: [n, H, W, C]."""
    del actions
    z = self.embed(images)
    return self.decoder(z), self.logits(z, z[:, None])

  @abc.abstractmethod
  def embed(self, images: jax.Array) -> jax.Array:
    """The latents that transitions join, without chance: [n, H, W, C] -> [n, L]."""

  @abc.abstractmethod
  def autoencode(self, x: jax.Array, y: jax.Array) -> tuple[dict, jax.Array, jax.Array]:
    """Terms of the loss, and latents as in `embed`.

    Args:
      x: [B, H, W, C]. y: [B, T, H, W, C].

    Returns:
      terms, [B, L] of x, [B, T, L] of y.
    """

  def to_images(self, z: jax.Array) -> jax.Array:
    """[n, L] -> [n, H, W, C] in [0, 1]."""
    outputs = self.decoder(z)
    return jax.nn.sigmoid(outputs) if self.likelihood == 'bernoulli' else jnp.clip(outputs, 0, 1)

  def predict(self, z: jax.Array) -> jax.Array:
    """Where every action leads: [n, L] -> [n, A, L]."""
    return z[:, None] + self.transition(z)

  def logits(self, z_x: jax.Array, z_y: jax.Array) -> jax.Array:
    """Log-odds of every action, up to a constant: [n, L], [n, T, L] -> [n, T, A]."""
    return -distance(self.predict(z_x), z_y) * jnp.exp(-self.log_temperature)

  def terms(self, x: jax.Array, y: jax.Array, action: jax.Array, *, transitions: bool
            ) -> tuple[dict, dict]:
    """x: [B, H, W, C], y: [B, T, H, W, C], action: [B, T]; see `cvq.baselines`."""
    terms, z_x, z_y = self.autoencode(x, y)
    if not transitions:
      return terms, {}
    if not self.joint:
      z_x, z_y = jax.lax.stop_gradient((z_x, z_y))
    far = distance(self.predict(z_x), z_y)                                   # [B, T, A]
    logits = -far * jnp.exp(-self.log_temperature)
    terms['transition'] = jnp.take_along_axis(far, action[..., None], axis=-1).mean()
    terms['retrieval'] = losses.retrieval(logits, action)
    right = (logits.argmax(-1) == action).mean(dtype=jnp.float32)
    return terms, {'retrieval_accuracy': right}

  def judge(self, x: jax.Array, y: jax.Array, action: jax.Array) -> dict:
    """The posterior, and images to compare with y.

    Args:
      x, y: [B, H, W, C]. action: [B], the true one.

    Returns:
      posterior [B, A]; images {'intervention', 'reconstruction': [B, H, W, C]}.
    """
    z_x, z_y = self.embed(x), self.embed(y)
    expected = jnp.take_along_axis(self.predict(z_x), action[:, None, None], axis=1)[:, 0]
    return {'posterior': jax.nn.softmax(self.logits(z_x, z_y[:, None])[:, 0]),
            'images': {'intervention': self.to_images(expected),
                       'reconstruction': self.to_images(z_y)}}

  def imagine(self, x: jax.Array) -> dict:
    """x: [B, H, W, C] -> reconstruction [B, H, W, C], prediction [B, A, H, W, C]."""
    z = self.embed(x)
    images = self.to_images(self.predict(z).reshape(-1, self.latents))
    return {'reconstruction': self.to_images(z),
            'prediction': images.reshape(x.shape[0], self.num_actions, *x.shape[1:])}

  def represent(self, images: jax.Array) -> dict:
    """images: [B, H, W, C] -> latents [B, L]."""
    return {'latents': self.embed(images)}


def distance(predicted: jax.Array, z_y: jax.Array) -> jax.Array:
  """Squared Euclidean: predictions [n, A, L], latents [n, T, L] -> [n, T, A]."""
  return jnp.square(predicted[:, None] - z_y[:, :, None]).sum(-1)


def pixel_loss(outputs: jax.Array, images: jax.Array, likelihood: str) -> jax.Array:
  """-log p(image) up to a constant, sum over pixels and mean over images: [n, H, W, C] -> []."""
  return images[0].size * losses.reconstruction(outputs, images, likelihood)


def fields(config: Any, image_shape: tuple[int, int, int], num_actions: int) -> dict:
  """Attributes of `Latent` from a config."""
  m = config.model
  return dict(widths=tuple(m.widths), hidden=m.hidden, latents=m.latents, width=m.width,
              joint=m.joint, likelihood=m.likelihood, image_shape=image_shape,
              num_actions=num_actions)
