"""What a causal-transition layer says about the codes of y."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Prediction:
  """Distribution of every variable of y, for each x and each hypothetical action.

  V variables (codebook, row, column), M hypotheses, N codes, S graph nodes: S = V, or H*W when
  the K variables of a position share one node. Row = child, column = parent.

  Attributes:
    logits: [B, M, V, N] unnormalised log-probabilities over the codes of y.
    mask_logits: [B, M, V] log-odds that the action intervenes on the variable.
    mask: [B, M, V] in [0, 1]. Where the layer does not copy, the mask in use (sample in training,
      mean or threshold after); where it copies, for `graph` and for whoever looks at it (mean in
      training, mean or threshold after).
    edge_logits: [B, E, S, S] log-odds of the edges of the mechanisms in use (E = M, or 1 when
      all actions share their parents).
    observational_logits: [B, S, S] log-odds of the edges without intervention, or None where
      the observational mechanism is the identity by construction.
    graph: [B, M, S, S] effective edge weights, after mask and sampling.
    copies: if true, a variable that is not intervened on keeps its code exactly, and the choice
      is marginalised: p(y_i) = (1 - m_i) [y_i = x_i] + m_i softmax(logits_i)[y_i], where m is
      sigmoid(mask_logits), whatever `mask` is.
    vectors: [B, M, V, d] predicted code vectors where the layer predicts in the space of the
      codes (tied embeddings), else None.
    weights: [B, M, L] log-probabilities, where each of M hypotheses is a mixture of L alternatives.
      The arrays above then have M * L hypotheses, those of a mixture next to each other.
  """
  logits: jax.Array
  mask_logits: jax.Array
  mask: jax.Array
  edge_logits: jax.Array
  observational_logits: jax.Array | None
  graph: jax.Array
  copies: bool = flax.struct.field(pytree_node=False, default=False)
  vectors: jax.Array | None = None
  weights: jax.Array | None = None


def likeliest(prediction: Prediction) -> Prediction:
  """Of each mixture its likeliest alternative alone: M hypotheses are left."""
  if prediction.weights is None:
    return prediction
  b, m, l = prediction.weights.shape
  chosen = jnp.arange(m) * l + prediction.weights.argmax(-1)                 # [B, M]
  take = lambda a: jnp.take_along_axis(a, chosen.reshape(b, m, *(1,) * (a.ndim - 2)), axis=1)
  return prediction.replace(weights=None, **{
      name: take(getattr(prediction, name))
      for name in ('logits', 'mask_logits', 'mask', 'graph', 'vectors')})


def log_probability(prediction: Prediction, x_codes: jax.Array, y_codes: jax.Array) -> jax.Array:
  """Log-probability of every variable of T targets under every hypothesis.

  Args:
    prediction: of M hypotheses for each x.
    x_codes: [B, V] int, y_codes: [B, T, V] int.

  Returns:
    [B, T, M, V] float32. Works on logits throughout, so the gradient stays alive where the model
    is confidently wrong (DESIGN section 5, mistake 4).
  """
  log_q = jax.nn.log_softmax(prediction.logits)                              # [B, M, V, N]
  index = jnp.swapaxes(y_codes, 1, 2)[:, None]                               # [B, 1, V, T]
  taken = jnp.take_along_axis(log_q, index, axis=-1)                         # [B, M, V, T]
  taken = jnp.moveaxis(taken, -1, 1)                                         # [B, T, M, V]
  if not prediction.copies:
    return taken
  changed = jax.nn.log_sigmoid(prediction.mask_logits)[:, None] + taken
  kept = jax.nn.log_sigmoid(-prediction.mask_logits)[:, None]
  same = (y_codes == x_codes[:, None])[:, :, None]                           # [B, T, 1, V]
  return jnp.where(same, jnp.logaddexp(kept, changed), changed)


def probabilities(prediction: Prediction, x_codes: jax.Array) -> jax.Array:
  """Distribution over codes: [B, M, V, N], with the copy of x mixed in where the layer copies."""
  q = jax.nn.softmax(prediction.logits)
  if not prediction.copies:
    return q
  m = jax.nn.sigmoid(prediction.mask_logits)[..., None]
  return (1 - m) * jax.nn.one_hot(x_codes, q.shape[-1])[:, None] + m * q


def expected_vectors(
    prediction: Prediction, x_codes: jax.Array, x_vectors: jax.Array, codebook: jax.Array
) -> jax.Array:
  """Code vectors of y to decode an image from: [B, M, V, d].

  With tied embeddings, the blend of x's vector and the predicted one by the probability that the
  action intervenes; otherwise the mean of the codebook under the predicted distribution.

  Args:
    prediction: of M hypotheses. x_codes: [B, V] int. x_vectors: [B, V, d].
    codebook: [K, N, d].
  """
  if prediction.vectors is not None:
    m = jax.nn.sigmoid(prediction.mask_logits)[..., None]
    return (1 - m) * x_vectors[:, None] + m * prediction.vectors
  p = probabilities(prediction, x_codes)
  b, hypotheses, v, n = p.shape
  k = codebook.shape[0]
  p = p.reshape(b, hypotheses, k, v // k, n)
  return jnp.einsum('bmksn,knd->bmksd', p, codebook).reshape(b, hypotheses, v, -1)
