"""Every term of the loss as a plain function of arrays. Weights live in config.loss.

Conventions: images [B, H, W, C] in [0, 1]; B batch, T targets per x, M hypotheses, V variables,
S graph nodes; graphs have row = child, column = parent. A term is a scalar, a mean over the batch,
so that the mean over devices is the value for the whole batch.
Source: Gendron et al. 2023, section 4; DESIGN section 3.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import optax

from cvq.models import quantizer as vq

CODE_TEMPERATURE = .1        # of the choice of a code in `code_entropy`; fits latents of length 1
TINY = 1e-30                 # the share of a code that no latent is near


def reconstruction(outputs: jax.Array, images: jax.Array, likelihood: str) -> jax.Array:
  """Mean over pixels of -log p(image), up to a constant: [..., H, W, C] twice -> [].

  Args:
    outputs: logits for 'bernoulli', means for 'gaussian' (squared error).
    images: in [0, 1].
  """
  chex.assert_equal_shape([outputs, images])
  if likelihood == 'bernoulli':
    return optax.sigmoid_binary_cross_entropy(outputs, images).mean()
  return jnp.square(outputs - images).mean()


def codebook(latents: jax.Array, vectors: jax.Array, codebooks: int) -> jax.Array:
  """||sg(z) - e||^2: moves codes. Mean over elements of a codebook, summed over codebooks.

  Args:
    latents: [B, V, d] z. vectors: [B, V, d] e, the chosen codes (not straight-through).
  """
  chex.assert_equal_shape([latents, vectors])
  return codebooks * jnp.square(jax.lax.stop_gradient(latents) - vectors).mean()


def commitment(latents: jax.Array, vectors: jax.Array, codebooks: int) -> jax.Array:
  """||z - sg(e)||^2: moves latents; `beta` is its weight. Shapes as in `codebook`."""
  chex.assert_equal_shape([latents, vectors])
  return codebooks * jnp.square(latents - jax.lax.stop_gradient(vectors)).mean()


def code_entropy(latents: jax.Array, codebook: jax.Array, axis_name: str | None = None
                 ) -> jax.Array:
  """H(code | z) - H(code): least where every latent is sure of its code, and codes are used alike.

  A latent takes codes by softmax(-|z - e|^2 / CODE_TEMPERATURE). Mean over latents, and over
  codebooks. In [-log N, 0]. Source: Yu et al. 2023 (MAGVIT-v2), section 3.1.

  Args:
    latents: [B, V, d]. codebook: [K, N, d].
    axis_name: over which devices meet; their mean is then the value of all latents, and has its
      gradient.
  """
  # |z|^2 is the same for all codes.
  log_p = jax.nn.log_softmax(2 * vq.nearness(latents, codebook) / CODE_TEMPERATURE)
  p = jnp.exp(log_p)
  share = p.mean((0, 2))                                                     # [K, N]
  everywhere = jax.lax.stop_gradient(share)
  if axis_name is not None:
    everywhere = jax.lax.pmean(everywhere, axis_name)
  # Held constant: the derivative of its log only adds the sum of the shares, which is 1.
  log_share = jnp.log(jnp.maximum(everywhere, TINY))
  return (share * log_share).sum(-1).mean() - (p * log_p).sum(-1).mean()


def negative_log_likelihood(log_prob: jax.Array) -> jax.Array:
  """-log p(y | x, a), summed over variables (a mean would dilute the few that change).

  Args:
    log_prob: [B, ..., V] of every variable under the true action.
  """
  return -log_prob.sum(-1).mean()


def alternative_scores(log_prob: jax.Array, temperature: jax.Array, weights: jax.Array
                       ) -> jax.Array:
  """Log of weight and tempered likelihood of each alternative.

  Args:
    log_prob: [B, T, M * L, V]. temperature: [] > 0. weights: [B, M, L] log-probabilities.

  Returns:
    [B, T, M, L].
  """
  scores = log_prob.sum(-1) / temperature
  return scores.reshape(*scores.shape[:2], *weights.shape[1:]) + weights[:, None]


def posterior_logits(log_prob: jax.Array, temperature: jax.Array,
                     weights: jax.Array | None = None) -> jax.Array:
  """Log-odds of every action, up to a constant: -NLL / temperature. DESIGN section 3, causal.

  Args:
    log_prob: [B, T, M, V], or [B, T, M * L, V] of L alternatives. temperature: [] > 0.
    weights: [B, M, L] log-probabilities of the alternatives, if there are any.

  Returns:
    [B, T, M].
  """
  if weights is None:
    return log_prob.sum(-1) / temperature
  return jax.nn.logsumexp(alternative_scores(log_prob, temperature, weights), axis=-1)


def global_steps(x: jax.Array, y: jax.Array, shifts: jax.Array) -> tuple[jax.Array, jax.Array]:
  """How far steps of the global variables are from what the action shifts them by, squared.

  Args:
    x: [B, G] coordinates. y: [B, T, G]. shifts: [B, T, G] of `cvq.models.global_level.shifts`.

  Returns:
    Of the variable that the action moves; of the others, summed.
  """
  error = jnp.square(y - x[:, None] - shifts)
  own = shifts != 0
  total = lambda where: jnp.sum(error, axis=-1, where=where).mean()
  return total(own), total(~own)


def global_spacing(x: jax.Array, y: jax.Array, shifts: jax.Array, spacing: jax.Array) -> jax.Array:
  """(step - spacing)^2 of the variable that the action moves, the step's sign that of the action.

  It makes spacing what a step leads to on average; one the wrong way counts as negative.

  Args:
    x, y, shifts: as in `global_steps`. spacing: [G], the only one that it moves.
  """
  steps = jax.lax.stop_gradient(y - x[:, None]) * shifts
  return jnp.square(steps - spacing * jnp.abs(shifts)).sum(-1).mean()


def global_offset(values: jax.Array, offset: jax.Array, spacing: jax.Array) -> jax.Array:
  """1 - cos of the phase of coordinates between two codes: moves codes to where coordinates gather.

  Args:
    values: [B, G]. offset: [G], the only one that it moves. spacing: [G].
  """
  phase = (jax.lax.stop_gradient(values) - offset) / jax.lax.stop_gradient(spacing)
  return (1 - jnp.cos(2 * jnp.pi * phase)).sum(-1).mean()


def retrieval(logits: jax.Array, actions: jax.Array) -> jax.Array:
  """Cross-entropy of the posterior with the true action: [B, T, A], [B, T] int -> []."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, actions).mean()


def graph_identity(graph: jax.Array) -> jax.Array:
  """MSE(G, I): without intervention nothing changes. graph: [..., S, S]."""
  return jnp.square(graph - jnp.eye(graph.shape[-1])).mean()


def edge_kl(edge_logits: jax.Array, prior: float) -> jax.Array:
  """KL(Bernoulli(alpha) || Bernoulli(prior)), mean over edges. edge_logits: [..., S, S].

  The prior is a constant; the published code drew a new random target at every call.
  """
  alpha = jax.nn.sigmoid(edge_logits)
  log_on, log_off = jax.nn.log_sigmoid(edge_logits), jax.nn.log_sigmoid(-edge_logits)
  return (alpha * (log_on - jnp.log(prior)) + (1 - alpha) * (log_off - jnp.log1p(-prior))).mean()


def graph_size(graph: jax.Array) -> jax.Array:
  """Mean number of parents of a node. graph: [..., S, S] weights in [0, 1]."""
  return graph.sum(-1).mean()


def no_parent(edge_logits: jax.Array) -> jax.Array:
  """Mean probability prod_j (1 - alpha_ij) that a node has no parent. edge_logits: [..., S, S]."""
  return jnp.exp(jax.nn.log_sigmoid(-edge_logits).sum(-1)).mean()
