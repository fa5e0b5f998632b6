"""The causal graph: which variables an action touches, and who is whose parent.

Convention, everywhere: row = child, column = parent. Mechanism 0 is the observational one,
mechanism 1 + a the one under do(a). Source: Gendron et al. 2023, section 4; DESIGN section 3.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from cvq.models.pairwise import pairwise_scores

_SMALLEST_WEIGHT = 1e-4

# For jax.checkpoint: keep the scores of pairs, small and dear; compute the rest again.
SAVE_SCORES = jax.checkpoint_policies.save_only_these_names('pairwise')


def sample_bernoulli(
    logits: jax.Array, key: jax.Array | None, *, method: str, temperature: float = 1.
) -> jax.Array:
  """A Bernoulli variable for each of the log-odds [...], with a gradient; same shape, in [0, 1].

  Args:
    logits: log-odds of a one.
    key: random key of 'gumbel'; the others ignore it.
    method: 'gumbel' draws 0 or 1 and differentiates the relaxed draw (straight-through);
      'threshold' gives the more probable value, differentiated as if it were the probability;
      'mean' is the probability itself.
    temperature: of the relaxation, > 0.

  Raises:
    ValueError: unknown method.
  """
  if method == 'mean':
    return jax.nn.sigmoid(logits)
  if method == 'gumbel':
    # The difference of two Gumbel variables is logistic.
    logits = logits + jax.random.logistic(key, logits.shape, logits.dtype)
    soft = jax.nn.sigmoid(logits / temperature)
  elif method == 'threshold':
    soft = jax.nn.sigmoid(logits)
  else:
    raise ValueError(f"method must be 'gumbel', 'mean' or 'threshold', not {method!r}")
  hard = (logits > 0).astype(logits.dtype)
  return hard + (soft - jax.lax.stop_gradient(soft))


def sinusoidal_positions(variables: int, dim: int) -> jax.Array:
  """[V, dim] float32: sines (even columns) and cosines (odd) of V positions.

  Source: Vaswani et al. 2017, section 3.5.
  """
  rate = 10000. ** (-2 * (jnp.arange(dim) // 2) / dim)
  angle = jnp.arange(variables)[:, None] * rate
  return jnp.where(jnp.arange(dim) % 2 == 0, jnp.sin(angle), jnp.cos(angle))


def combine_mechanisms(
    observational: jax.Array, interventional: jax.Array, mask: jax.Array
) -> jax.Array:
  """(1 - M_i) a0_ij + M_i a_ij: an intervention replaces the mechanism of the variable.

  The mask stands on the side of the child: only edges into intervened variables change.

  Args:
    observational: [B, V, V]. interventional: [B, M, V, V]. mask: [B, M, V].

  Returns:
    [B, M, V, V].
  """
  m = mask[..., None]
  return (1 - m) * observational[:, None] + m * interventional


def parents(edge_logits: jax.Array) -> jax.Array:
  """Expected parents of a node beside itself, mean over nodes and mechanisms.

  edge_logits: [B, E, S, S] -> [B].
  """
  others = 1 - jnp.eye(edge_logits.shape[-1])
  return (jax.nn.sigmoid(edge_logits) * others).sum(-1).mean((1, 2))


def graph_attention(scores: jax.Array, weights: jax.Array, values: jax.Array) -> jax.Array:
  """Messages along the edges of a graph: sum_j attention_ij values_j.

  attention_ij is proportional to exp(scores_ij) * weights_ij and sums to 1 over the parents j.
  A node without parents receives 0, and the sum fades to 0 where all weights that matter are
  below 1e-4, so that the gradient stays finite everywhere.

  Args:
    scores: [..., V, U]. weights: [..., V, U] in [0, 1], row = child. values: [..., U, n].

  Returns:
    [..., V, n].
  """
  log_weights = jnp.log(jnp.maximum(weights, _SMALLEST_WEIGHT))
  top = jax.lax.stop_gradient((scores + log_weights).max(-1, keepdims=True))
  # At least 1 where the strongest parent has a weight above the smallest one.
  mass = jnp.exp(scores - top) * weights
  total = mass.sum(-1, keepdims=True)
  # Not maximum(total, 1): a single parent has a total of 1, where that has half of the gradient.
  attention = mass / jnp.where(total < 1 - 1e-6, 1., total)
  return jnp.einsum('...vu,...un->...vn', attention, values)


class InterventionMask(nn.Module):
  """Log-odds that an action intervenes on a variable, for all A actions at once."""
  num_actions: int
  hidden: int = 64

  @nn.compact
  def __call__(self, nodes: jax.Array) -> jax.Array:
    """nodes: [B, V, n] -> [B, A, V]."""
    hidden = nn.gelu(nn.Dense(self.hidden, name='hidden')(nodes))
    return jnp.swapaxes(nn.Dense(self.num_actions, name='out')(hidden), 1, 2)


class EdgeScorer(nn.Module):
  """Log-odds of every edge: one MLP on [h_i; h_j] for each mechanism.

  The first layer is linear in the concatenation, so it is applied to the nodes, not to the
  pairs: the same numbers for V instead of V^2 products (DESIGN section 10).
  """
  mechanisms: int
  hidden: int = 800

  @nn.compact
  def __call__(self, nodes: jax.Array, mechanisms: jax.Array) -> jax.Array:
    """Edges of M mechanisms for each x.

    Args:
      nodes: [B, V, n]. mechanisms: [B, M] int, of `self.mechanisms` ones.

    Returns:
      [B, M, V, V], row = child, column = parent.
    """
    count, n, h = self.mechanisms, nodes.shape[-1], self.hidden
    # Of a Dense layer on the concatenation: child's half above, parent's half below.
    first = nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)
    kernel = self.param('kernel', first, (count, 2 * n, h))
    bias = self.param('bias', nn.initializers.zeros, (count, h))
    out_kernel = self.param('out_kernel', nn.initializers.normal(h ** -.5), (count, h))
    out_bias = self.param('out_bias', nn.initializers.zeros, (count,))

    def score(mechanism):                                                    # [B] -> [B, V, V]
      w = kernel[mechanism]                                                  # [B, 2n, h]
      child = jnp.einsum('bvn,bnh->bvh', nodes, w[:, :n]) + bias[mechanism][:, None]
      parent = jnp.einsum('bvn,bnh->bvh', nodes, w[:, n:])
      scores = pairwise_scores(child, parent, out_kernel[mechanism])
      return checkpoint_name(scores, 'pairwise') + out_bias[mechanism][:, None, None]

    # One mechanism at a time: kernels and hidden layers of all would be [B, M, 2n + 2V, h].
    score = jax.checkpoint(score, policy=SAVE_SCORES)
    return jnp.moveaxis(jax.lax.map(score, mechanisms.T), 0, 1)
