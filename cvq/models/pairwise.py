"""Scores of all pairs of nodes by one hidden layer: the hot spot of the paper's layer.

leaky_relu(x) = (1 + slope) / 2 x + (1 - slope) / 2 |x|. The linear part separates into nodes;
only |x| has to visit every (child, parent, hidden unit). It is summed in blocks of up to 50 terms
by elementwise code over a wide last axis, which XLA vectorises on CPU, where it leaves reductions
scalar; and [..., V, U, h] never exists. The gradient needs the sign of x only, recomputed.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

import jax
import jax.numpy as jnp

_BLOCK = 50


def pairwise_scores(
    left: jax.Array, right: jax.Array, weight: jax.Array, *, edge: jax.Array | None = None,
    edge_weight: jax.Array | None = None, slope: float = .2,
) -> jax.Array:
  """sum_h weight_h leaky_relu(left_ih + right_jh + edge_ij edge_weight_h) for all pairs (i, j).

  Leading axes broadcast, as in NumPy, so heads may share edges and examples may share weights.

  Args:
    left: [..., V, h] of children. right: [..., U, h] of parents. weight: [..., h].
    edge: [..., V, U] and edge_weight: [..., h], both or neither.
    slope: of the leaky ReLU.

  Returns:
    [..., V, U], row = child, column = parent.

  Source: Gendron et al. 2023, section 4 (edges); Brody et al. 2022, equation 7 (GATv2).
  """
  if (edge is None) != (edge_weight is None):
    raise ValueError('edge and edge_weight come together')
  v, u, h = left.shape[-2], right.shape[-2], weight.shape[-1]
  operands = [(left, (v, h)), (right, (u, h)), (weight, (h,))]
  if edge is not None:
    operands += [(edge, (v, u)), (edge_weight, (h,))]
  lead = jnp.broadcast_shapes(*(x.shape[:x.ndim - len(core)] for x, core in operands))
  flat = [jnp.broadcast_to(x, lead + core).reshape(-1, *core) for x, core in operands]
  return _scores(slope, *flat).reshape(*lead, v, u)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scores(slope, *operands):
  """Of P graphs: [P, V, h], [P, U, h], [P, h] and maybe [P, V, U], [P, h] -> [P, V, U]."""
  return _each(functools.partial(_forward, slope), operands)


def _scores_forward(slope, *operands):
  return _scores(slope, *operands), operands


def _scores_backward(slope, operands, g):
  return _each(functools.partial(_backward, slope), (g, *operands))


_scores.defvjp(_scores_forward, _scores_backward)


def _each(function: Callable[..., Any], operands: Sequence[jax.Array]) -> Any:
  """function of each of P graphs: one by one on CPU, where one fits the cache, else together."""
  return jax.lax.platform_dependent(
      *operands, cpu=lambda *xs: jax.lax.map(lambda x: function(*x), xs),
      default=jax.vmap(function))


def _forward(slope, left, right, weight, edge=None, edge_weight=None):
  """Scores of one graph: [V, h], [U, h], [h] and maybe [V, U], [h] -> [V, U]."""
  linear = (left @ weight)[:, None] + right @ weight
  over_hidden = [left.T, right.T, weight]
  if edge is not None:
    linear = linear + edge * (weight @ edge_weight)
    over_hidden.append(edge_weight)

  def term(l, r, w, c=None):
    x = l[:, None] + r
    return w * jnp.abs(x if c is None else x + edge * c)

  return .5 * (1 + slope) * linear + .5 * (1 - slope) * _sum_terms(term, *over_hidden)


def _backward(slope, g, left, right, weight, edge=None, edge_weight=None):
  """Gradients of one graph's operands, given that of its scores: g: [V, U]."""
  mean, half = .5 * (1 + slope), .5 * (1 - slope)

  def signed(g, x):
    return jnp.where(x >= 0, g, -g)

  # Sums of g times the slope at x: over parents, over children, over hidden units.
  if edge is None:
    over_parents = _sum_terms(lambda r, g: signed(g[:, None], left + r), right, g.T)
    over_children = _sum_terms(lambda l, g: signed(g[:, None], right + l), left, g)
  else:
    ge = g * edge

    def to_child(r, g, ge, e):
      x = left + r + e[:, None] * edge_weight
      return signed(g[:, None], x), signed(ge[:, None], x)

    over_parents, edge_over_parents = _sum_terms(to_child, right, g.T, ge.T, edge.T)
    over_children = _sum_terms(
        lambda l, g, e: signed(g[:, None], right + l + e[:, None] * edge_weight), left, g, edge)

  to_left = mean * g.sum(1)[:, None] + half * over_parents                   # [V, h]
  to_right = mean * g.sum(0)[:, None] + half * over_children                 # [U, h]
  d_weight = (left * to_left).sum(0) + (right * to_right).sum(0)             # |x| = x sign(x)
  if edge is None:
    return weight * to_left, weight * to_right, d_weight
  to_edge = mean * ge.sum() + half * edge_over_parents.sum(0)                # [h]
  product = weight * edge_weight
  slopes = mean * product.sum() + half * _sum_terms(
      lambda l, r, c, p: signed(p, l[:, None] + r + edge * c),
      left.T, right.T, edge_weight, product)
  return (weight * to_left, weight * to_right, d_weight + edge_weight * to_edge, g * slopes,
          weight * to_edge)


def _sum_terms(term: Callable[..., Any], *arrays: jax.Array) -> Any:
  """sum_k term(array_1[k], array_2[k], ...); zeros in all arrays must give zero."""
  n = arrays[0].shape[0]
  blocks = -(-n // _BLOCK)
  block = -(-n // blocks)
  padded = [jnp.pad(a, [(0, blocks * block - n)] + [(0, 0)] * (a.ndim - 1)) for a in arrays]
  stacked = [a.reshape(blocks, block, *a.shape[1:]) for a in padded]

  def add(total, slices):
    terms = [term(*(s[i] for s in slices)) for i in range(block)]
    while len(terms) > 1:
      odd = terms[len(terms) // 2 * 2:]
      terms = [jax.tree.map(jnp.add, a, b) for a, b in zip(terms[::2], terms[1::2])] + odd
    return jax.tree.map(jnp.add, total, terms[0]), None

  shape = jax.eval_shape(term, *(a[0] for a in arrays))
  return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, shape), stacked)[0]
