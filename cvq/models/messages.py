"""Messages along the edges of a graph over the positions of a grid: blocks of the default layer.

Each block is a round: every node hears its parents, then an MLP digests what it heard. Messages
pass along edges only, each weighed by its edge. S = H*W nodes; row = child, column = parent.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cvq.models import causal_graph


def relative_position_bias(table: jax.Array, grid: tuple[int, int]) -> jax.Array:
  """Bias between all pairs of positions: [..., 2H - 1, 2W - 1] -> [..., H*W, H*W]."""
  h, w = grid
  rows = jnp.arange(h)[:, None] - jnp.arange(h) + h - 1                      # [H, H]
  cols = jnp.arange(w)[:, None] - jnp.arange(w) + w - 1
  bias = table[..., rows[:, None, :, None], cols[None, :, None, :]]          # [..., H, W, H, W]
  return bias.reshape(*table.shape[:-2], h * w, h * w)


def neighbourhood(grid: tuple[int, int], reach: int) -> np.ndarray:
  """Where each parent within reach is: [S, S, (2 reach + 1)^2] float32, of zeros and ones.

  Offsets from child to parent are ordered (rows, columns), both from -reach to reach.
  """
  offsets = np.arange(-reach, reach + 1)
  rows, cols = (np.arange(n)[None, :, None] - np.arange(n)[:, None, None] == offsets for n in grid)
  both = rows[:, None, :, None, :, None] & cols[None, :, None, :, None, :]
  return both.reshape(grid[0] * grid[1], grid[0] * grid[1], -1).astype(np.float32)


class OffsetMessages(nn.Module):
  """Messages whose meaning depends on where the parent is: a linear map for each offset.

  A convolution whose taps the graph opens and closes, so what is learned at one place holds at
  all. Edges from beyond the reach carry nothing. Compare Schlichtkrull et al. 2018, equation 2,
  with an offset as the relation.
  """
  reach: int
  inner: int
  mlp: int
  grid: tuple[int, int]

  @nn.compact
  def __call__(self, nodes: jax.Array, edges: jax.Array, noise: jax.Array | None) -> jax.Array:
    """nodes: [B, S, n]. edges: [B, S, S] weights in [0, 1]. noise: [B, 1, n] root, or None."""
    b, s, n = nodes.shape
    (h, w), r = self.grid, self.reach
    values = nn.Dense(self.inner, name='value')(nn.LayerNorm(name='norm_messages')(nodes))
    values = jnp.pad(values.reshape(b, h, w, -1), ((0, 0), (r, r), (r, r), (0, 0)))
    steps = range(2 * r + 1)
    heard = jnp.stack([values[:, i:i + h, j:j + w] for i in steps for j in steps], axis=3)
    weights = jnp.einsum('bij,ijo->bio', edges, neighbourhood(self.grid, r))
    heard = heard.reshape(b, s, -1, self.inner) * weights[..., None]         # [B, S, offset, inner]
    x = nodes + nn.Dense(n, name='out')(heard.reshape(b, s, -1))
    if noise is not None:
      x = x + nn.Dense(n, name='noise')(noise)
    return _digest(x, self.mlp)


class AttentionMessages(nn.Module):
  """Self-attention whose messages pass only along the edges of the graph, from anywhere."""
  heads: int
  mlp: int
  grid: tuple[int, int]

  @nn.compact
  def __call__(self, nodes: jax.Array, edges: jax.Array, noise: jax.Array | None) -> jax.Array:
    """nodes: [B, S, n]. edges: [B, S, S] weights in [0, 1]. noise: [B, 1, n] root, or None."""
    b, s, n = nodes.shape
    d = n // self.heads
    x = nn.LayerNorm(name='norm_attention')(nodes)
    q = nn.Dense(n, name='query')(x).reshape(b, s, self.heads, d)
    sources = x if noise is None else jnp.concatenate([x, noise], axis=1)
    k = nn.Dense(n, name='key')(sources).reshape(b, -1, self.heads, d)
    v = nn.Dense(n, name='value')(sources).reshape(b, -1, self.heads, d)
    scores = jnp.einsum('bihd,bjhd->bhij', q, k) / d ** .5
    h, w = self.grid
    table = self.param('bias', nn.initializers.zeros, (self.heads, 2 * h - 1, 2 * w - 1))
    bias = relative_position_bias(table, self.grid)
    if noise is not None:
      bias = jnp.pad(bias, ((0, 0), (0, 0), (0, 1)))
      edges = jnp.pad(edges, ((0, 0), (0, 0), (0, 1)), constant_values=1.)
    values = jnp.moveaxis(v, 2, 1)                                           # [B, heads, S, d]
    messages = causal_graph.graph_attention(scores + bias, edges[:, None], values)
    messages = jnp.moveaxis(messages, 1, 2).reshape(b, s, n)
    return _digest(nodes + nn.Dense(n, name='out')(messages), self.mlp)


def _digest(nodes: jax.Array, hidden: int) -> jax.Array:
  """x + MLP(x), in the block that calls it. nodes: [B, S, n]."""
  y = nn.Dense(hidden, name='mlp_in')(nn.LayerNorm(name='norm_mlp')(nodes))
  return nodes + nn.Dense(nodes.shape[-1], name='mlp_out')(nn.gelu(y))
