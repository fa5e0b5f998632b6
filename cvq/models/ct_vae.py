"""CT-VAE: encoder, quantizer, decoder and causal-transition layer as one module."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from cvq import losses
from cvq.models import gat, prediction as pred, published, quantizer as vq, transition
from cvq.models.decoder import DECODERS
from cvq.models.encoder import ENCODERS
from cvq.models.global_level import Coordinates, GlobalLevel
from cvq.models.prediction import Prediction
from cvq.models.quantizer import Quantized


class CTVAE(nn.Module):
  """One model, three modes; see `cvq.objectives` for how they are trained.

  Submodules 'encoder', 'quantizer' and 'decoder' form the MCQ-VAE; 'transition' is the CT layer;
  'global_level', or None, reads variables of the whole image off its nodes.
  """
  encoder: nn.Module
  quantizer: vq.Quantizer
  decoder: nn.Module
  transition: nn.Module
  grid: tuple[int, int]
  likelihood: str
  posterior: str
  start_temperature: float
  global_level: GlobalLevel | None

  def setup(self):
    start = nn.initializers.constant(math.log(self.start_temperature))
    self.log_temperature = self.param('log_temperature', start, ())

  def __call__(self, images: jax.Array, actions: jax.Array):
    """Touches every parameter, for initialisation. images: [B, H, W, C], actions: [B, M]."""
    quantized = self.encode(images)
    self.temperature()
    self.decode(quantized.vectors)
    if self.global_level is not None:
      self.coordinates(quantized)
    return self.predict(quantized, actions, train=False), self.observe(quantized, train=False)

  def encode(self, images: jax.Array) -> Quantized:
    """images: [B, H_img, W_img, C] in [0, 1] -> codes and vectors of V variables."""
    return self.quantizer(self.encoder(images))

  def decode(self, vectors: jax.Array) -> jax.Array:
    """[B, V, d] code vectors -> [B, H_img, W_img, C] logits (bernoulli) or means (gaussian)."""
    scale = self.quantizer.dim ** .5 if self.quantizer.unit else 1.
    return self.decoder(scale * vq.to_grid(vectors, self.quantizer.codebooks, self.grid))

  def to_images(self, vectors: jax.Array) -> jax.Array:
    """[B, V, d] -> [B, H_img, W_img, C] in [0, 1]."""
    outputs = self.decode(vectors)
    return jax.nn.sigmoid(outputs) if self.likelihood == 'bernoulli' else jnp.clip(outputs, 0, 1)

  def predict(self, quantized: Quantized, actions: jax.Array, *, train: bool,
              single: bool = False) -> Prediction:
    """What y would be under M hypothetical actions. actions: [B, M] int.

    single: without alternatives of an action, as before they part.
    """
    return self.transition(quantized, actions, train=train, single=single)

  def imagine(self, quantized: Quantized, actions: jax.Array) -> Prediction:
    """`predict`, of each action the likeliest alternative alone."""
    return pred.likeliest(self.predict(quantized, actions, train=False))

  def observe(self, quantized: Quantized, *, train: bool, identity: bool = False
              ) -> Prediction | None:
    """Without action (M = 1, mask 0); None where the codes are kept by construction."""
    return self.transition.observe(quantized, train=train, identity=identity)

  def coordinates(self, quantized: Quantized) -> Coordinates:
    """The variables of the global level."""
    return self.global_level(self.transition.context(quantized))

  @nn.nowrap
  def every_action(self, batch: int) -> jax.Array:
    """[B, A]: all actions for each of B images."""
    a = self.transition.num_actions
    return jnp.broadcast_to(jnp.arange(a), (batch, a))

  def temperature(self) -> jax.Array:
    """[] > 0, of the posterior over actions; learned."""
    return jnp.exp(self.log_temperature)

  def posterior_logits(self, x: Quantized, y: Quantized) -> jax.Array:
    """Log-odds of the actions that may have turned x into y, up to a constant.

    'forward' scores the codes of y given x and an action, as training does. 'both' adds the score
    of x given y and the opposite action, and divides by the root of 2. Where every transition is
    as frequent as its reverse, each is log p(x, a, y) up to a constant, so an exact model would
    give the same twice; one that takes variables as independent given x errs less in the direction
    that has fewer outcomes (an ellipse leaves open which way a heart points, a heart leaves
    nothing open). The sum would count twice what both share, the mean forget that two agree: the
    root, as between z-scores, is calibrated best on dSprites, Shapes3D and Sprites.

    Args:
      x, y: of B images each.

    Returns:
      [B, A].
    """
    forward = self._score(x, y)
    if self.posterior == 'forward':
      return forward
    opposite = jnp.roll(self._score(y, x), self.transition.num_actions // 2, axis=-1)
    return (forward + opposite) / 2 ** .5

  def _score(self, x: Quantized, y: Quantized) -> jax.Array:
    prediction = self.predict(x, self.every_action(x.codes.shape[0]), train=False)
    log_prob = pred.log_probability(prediction, x.codes, y.codes[:, None])
    return losses.posterior_logits(log_prob, self.temperature(), prediction.weights)[:, 0]


def grid_of(config: Any, image_shape: tuple[int, int, int]) -> tuple[int, int]:
  """(H, W) of the latent grid for images of this shape."""
  e = config.encoder
  stride = e.patch if e.name == 'patch' else 2 ** len(e.widths)
  return image_shape[0] // stride, image_shape[1] // stride


def build(config: Any, image_shape: tuple[int, int, int], num_actions: int) -> CTVAE:
  """The model of a config (its `model` part)."""
  grid = grid_of(config, image_shape)
  q, t = config.quantizer, config.transition
  dim = config.latent_dim // q.codebooks
  if t.name == 'tied':
    layer = transition.TiedTransition(
        codebooks=q.codebooks, codes=q.codes, dim=dim, grid=grid, num_actions=num_actions,
        width=t.width, messages=t.messages, reach=min(t.reach, max(grid) - 1), inner=t.inner,
        heads=t.heads, mlp=t.mlp, edge_hidden=t.edge_hidden, noise=t.noise,
        noise_scale=t.noise_scale, sampling=t.sampling, evaluation_sampling=t.evaluation_sampling,
        graph_temperature=t.graph_temperature, rounds=t.rounds, alternatives=t.alternatives,
        edges=t.edges)
  else:
    fields = dict(
        codebooks=q.codebooks, codes=q.codes, grid=grid, num_actions=num_actions,
        attention=t.attention, edge_hidden=t.edge_hidden, hidden=t.hidden, noise=t.noise,
        noise_scale=t.noise_scale, sampling=t.sampling, mask_temperature=t.mask_temperature,
        graph_temperature=t.graph_temperature, evaluation_sampling=t.evaluation_sampling,
        self_edges=t.self_edges)
    layer = (gat.GraphTransition(**fields) if t.mistake == 'none' else
             published.PublishedTransition(mistake=t.mistake, **fields))
  g = config.global_level
  whole = GlobalLevel(
      axes=num_actions // 2, codes=g.codes, width=g.width, inner=g.inner,
      grid=grid) if g.codes else None
  return CTVAE(
      encoder=ENCODERS[config.encoder.name].from_config(config.encoder, config.latent_dim),
      quantizer=vq.Quantizer(q.codebooks, q.codes, dim, q.unit, q.learning, q.gradient),
      decoder=DECODERS[config.decoder.name].from_config(config.decoder, image_shape[-1]),
      transition=layer, grid=grid, likelihood=config.likelihood, posterior=config.posterior,
      start_temperature=config.temperature, global_level=whole)
