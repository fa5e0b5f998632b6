"""Mistakes of the published code, put back into the paper's layer one at a time, to see their cost.

Of the eight in DESIGN section 5, those that are the layer's: 2 to 4, and the noise of 5. The first
changes nothing with one codebook, as the paper has; the others are of data and evaluation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from cvq.models import causal_graph
from cvq.models.gat import GraphTransition
from cvq.models.prediction import Prediction
from cvq.models.quantizer import Quantized

SILENT, PARENTS, CLAMPED, DRAWN = MISTAKES = (
    'silent_action', 'mask_of_parents', 'clamped', 'drawn_in_evaluation')
_LEAST = 1e-4         # probability of a code


class PublishedTransition(GraphTransition):
  """`GraphTransition` with one mistake.

  Attributes:
    mistake: 'silent_action', the action sends no messages; 'mask_of_parents', the mask replaces
      the edges out of the variables that it marks, not those into them; 'clamped', the logarithm
      of probabilities of at least 1e-4, without a gradient beneath; 'drawn_in_evaluation', masks
      and graphs are drawn there too (from one key, so that an evaluation repeats).
  """
  mistake: str = SILENT

  def __call__(self, quantized: Quantized, actions: jax.Array, *, train: bool,
               single: bool = False) -> Prediction:
    return self._clamped(super().__call__(quantized, actions, train=train, single=single))

  def observe(self, quantized: Quantized, *, train: bool, identity: bool = False) -> Prediction:
    return self._clamped(super().observe(quantized, train=train, identity=identity))

  def _clamped(self, prediction: Prediction) -> Prediction:
    if self.mistake != CLAMPED:
      return prediction
    likely = jnp.maximum(jax.nn.softmax(prediction.logits), _LEAST)
    return prediction.replace(logits=jnp.log(likely))

  def intervene(self, observational: jax.Array, interventional: jax.Array, mask: jax.Array
                ) -> jax.Array:
    if self.mistake != PARENTS:
      return super().intervene(observational, interventional, mask)
    turn = lambda graph: jnp.swapaxes(graph, -1, -2)
    return turn(super().intervene(turn(observational), turn(interventional), mask))

  def action_edges(self, mask: jax.Array) -> jax.Array:
    return jnp.zeros_like(mask) if self.mistake == SILENT else mask

  def sample(self, logits: jax.Array, temperature: float, train: bool) -> jax.Array:
    if train or self.mistake != DRAWN:
      return super().sample(logits, temperature, train)
    key = jax.random.fold_in(jax.random.key(0), logits.ndim)
    return causal_graph.sample_bernoulli(logits, key, method='gumbel', temperature=temperature)
