"""The default causal-transition layer: tied embeddings on a shared graph.

For every variable it says (a) whether the action intervenes on it: the mask, which also decides
the copy, and (b) where its code vector would go: the likelihood of a code is its similarity to
that vector, so near codes share evidence. The K variables of a position share one graph node.

All actions share the parents of a node and the pass over the graph; the action enters afterwards
as one more parent of the variables it intervenes on, so A hypotheses cost little more than one.
Without intervention a variable keeps its code by construction: the observational mechanism is
the identity. Both are departures from the paper, whose layer is `cvq.models.gat`.

Given x and an action, variables are independent. Where y has several outcomes (an ellipse leaves
open which way a heart points) that predicts their blur, so an action may have L alternatives: a
mixture whose components are such predictions of all variables at once, each with a weight.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cvq.models import causal_graph
from cvq.models.messages import (
    AttentionMessages, OffsetMessages, neighbourhood, relative_position_bias)
from cvq.models.prediction import Prediction
from cvq.models.quantizer import Quantized, normalise

SPLIT = .2            # how far alternatives of an action are apart at first, of actions' spread
CERTAIN = 20.         # log-odds of an edge that is given, not learned


class SharedGraph(nn.Module):
  """Log-odds that position j is a parent of position i, the same for all actions.

  Bilinear in the two nodes, plus a learned bias for their relative position.
  """
  hidden: int
  grid: tuple[int, int]

  @nn.compact
  def __call__(self, nodes: jax.Array) -> jax.Array:
    """nodes: [B, S, n] -> [B, S, S], row = child, column = parent."""
    child = nn.Dense(self.hidden, name='child')(nodes)
    parent = nn.Dense(self.hidden, name='parent')(nodes)
    h, w = self.grid
    table = self.param('offset', nn.initializers.zeros, (2 * h - 1, 2 * w - 1))
    pairs = jnp.einsum('bid,bjd->bij', child, parent) / self.hidden ** .5
    return pairs + relative_position_bias(table, self.grid)


def given_edges(edges: str, nodes: int) -> jax.Array:
  """Log-odds of a graph that is not learned: [S, S].

  edges: 'all', every node has every parent (of offsets, within reach), or 'none', itself alone.
  """
  there = {'all': jnp.ones((nodes, nodes)), 'none': jnp.eye(nodes)}[edges]
  return CERTAIN * (2 * there - 1)


class TiedTransition(nn.Module):
  """Predicts the codes of y under many actions at once. See the module's docstring."""
  codebooks: int
  codes: int
  dim: int
  grid: tuple[int, int]
  num_actions: int
  width: int
  messages: str
  reach: int
  inner: int
  heads: int
  mlp: int
  edge_hidden: int
  noise: str
  noise_scale: float
  sampling: str
  evaluation_sampling: str
  graph_temperature: float
  rounds: int
  alternatives: int
  edges: str

  def observe(self, quantized: Quantized, *, train: bool, identity: bool = False) -> None:
    """Without an action every variable keeps its code, by construction: nothing to learn."""

  def setup(self):
    k, d, s = self.codebooks, self.dim, self.grid[0] * self.grid[1]
    self.position = self.param('position', nn.initializers.normal(.02), (s, self.width))
    self.embed = nn.Dense(self.width)
    if self.edges == 'learned':
      self.graph = SharedGraph(self.edge_hidden, self.grid)
    if self.messages == 'offsets':
      block = lambda: OffsetMessages(self.reach, self.inner, self.mlp, self.grid)
    else:
      block = lambda: AttentionMessages(self.heads, self.mlp, self.grid)
    self.inference, self.further = block(), [block() for _ in range(self.rounds - 1)]
    self.child = nn.Dense(self.width)
    embed = lambda rows, spread: nn.Embed(
        rows, self.width, embedding_init=nn.initializers.normal(spread))
    self.action_scale, self.action_shift = (
        embed(self.num_actions, spread) for spread in (.02, .5))
    if self.alternatives > 1:
      self.own_scale, self.own_shift = (
          embed(self.num_actions * self.alternatives, SPLIT * spread) for spread in (.02, .5))
      self.weight = nn.Dense(1)
    self.step = nn.Dense(k * d, kernel_init=nn.initializers.normal(.02))
    self.mask = nn.Dense(k)
    self.log_kappa = self.param('log_kappa', nn.initializers.constant(jnp.log(10.)), ())

  @nn.nowrap
  def _near(self) -> np.ndarray:
    """Who is within whose reach: [S, S] bool; attention reaches everywhere."""
    if self.messages == 'attention':
      return np.ones((self.grid[0] * self.grid[1],) * 2, bool)
    return neighbourhood(self.grid, self.reach).any(-1)

  @property
  def possible_parents(self) -> float:
    """How many nodes a node may hear, itself too; mean over nodes."""
    return float(self._near().sum(-1).mean())

  def context(self, quantized: Quantized) -> jax.Array:
    """What the nodes know once they have heard their parents: -> [B, S, n]."""
    return self._on_graph(quantized, train=False)[0]

  def _on_graph(self, quantized: Quantized, *, train: bool) -> tuple[jax.Array, ...]:
    """-> nodes [B, S, n] after the pass over the graph; log-odds and weights of edges [B, S, S]."""
    vectors = quantized.vectors
    b, v, d = vectors.shape
    k = self.codebooks
    s = v // k
    x = vectors.reshape(b, k, s, d).transpose(0, 2, 1, 3).reshape(b, s, k * d)
    nodes = self.embed(x * d ** .5) + self.position
    root = None
    if train and self.noise != 'off':
      shape = nodes.shape if self.noise == 'exo' else (b, 1, self.width)
      draw = self.noise_scale * jax.random.normal(self.make_rng('sample'), shape)
      nodes, root = (nodes + draw, None) if self.noise == 'exo' else (nodes, draw)
    elif self.noise == 'endo':
      root = jnp.zeros((b, 1, self.width))

    if self.edges == 'learned':
      edge_logits = self.graph(nodes)
    else:
      edge_logits = jnp.broadcast_to(given_edges(self.edges, s), (b, s, s))
    near = self._near()
    edge_logits = jnp.where(near, edge_logits, -CERTAIN)
    method = self.sampling if train else self.evaluation_sampling
    key = self.make_rng('sample') if method == 'gumbel' else None
    edges = jnp.where(near, jax.nn.sigmoid(edge_logits), 0.)
    # A layer that trains on draws trains on alpha * G, whose mean is alpha^2.
    if method != 'mean' or self.sampling == 'gumbel':
      edges = edges * causal_graph.sample_bernoulli(
          edge_logits, key, method=method, temperature=self.graph_temperature)
    for block in (self.inference, *self.further):
      nodes = block(nodes, edges, root)
    return nodes, edge_logits, edges

  def _embeddings(self, actions: jax.Array, alternatives: int) -> tuple[jax.Array, jax.Array]:
    """Scale and shift of each alternative, an action's next to each other: -> [B, M * L, n]."""
    scale, shift = self.action_scale(actions), self.action_shift(actions)
    if alternatives == 1:
      return scale, shift
    b, m = actions.shape
    own = actions[..., None] * alternatives + jnp.arange(alternatives)       # [B, M, L]
    join = lambda shared, parts: (shared[:, :, None] + parts).reshape(b, m * alternatives, -1)
    return join(scale, self.own_scale(own)), join(shift, self.own_shift(own))

  def __call__(self, quantized: Quantized, actions: jax.Array, *, train: bool,
               single: bool = False) -> Prediction:
    """The codes of y under M actions for each x.

    Args:
      quantized: codes and vectors of x, and the codebook.
      actions: [B, M] int.
      train: samples graph and noise from the rng stream 'sample' where the config asks for it.
      single: with what alternatives share, alone.
    """
    vectors, codebook = quantized.vectors, quantized.codebook
    b, v, d = vectors.shape
    k, l = self.codebooks, 1 if single else self.alternatives
    m, s = actions.shape[1] * l, v // k
    trunk, edge_logits, edges = self._on_graph(quantized, train=train)

    # The action is one more parent: its message scales and shifts what the variables know.
    trunk = self.child(trunk)[:, None]                                       # [B, 1, S, n]
    scale, shift = self._embeddings(actions, l)
    hidden = nn.gelu(trunk * (1 + scale[:, :, None]) + shift[:, :, None])    # [B, M, S, n]
    step = self.step(hidden).reshape(b, m, s, k, d).transpose(0, 1, 3, 2, 4).reshape(b, m, v, d)
    target = normalise(vectors[:, None] + step)                              # [B, M, V, d]
    mask_logits = jnp.swapaxes(self.mask(hidden), 2, 3).reshape(b, m, v)

    # HIGHEST, as in the search for the nearest code: it is the same score.
    similarity = jnp.einsum('bmksd,knd->bmksn', target.reshape(b, m, k, s, d), codebook,
                            precision=jax.lax.Precision.HIGHEST)
    logits = jnp.exp(self.log_kappa) * similarity.reshape(b, m, v, -1)
    mask = jax.nn.sigmoid(mask_logits)
    if not train and self.evaluation_sampling == 'threshold':
      mask = (mask > .5).astype(mask.dtype)
    touched = 1 - jnp.prod(1 - mask.reshape(b, m, k, s), axis=2)             # [B, M, S]
    identity = jnp.broadcast_to(jnp.eye(s), (b, s, s))
    graph = causal_graph.combine_mechanisms(
        identity, jnp.broadcast_to(edges[:, None], (b, m, s, s)), touched)
    return Prediction(
        logits=logits, mask_logits=mask_logits, mask=mask, edge_logits=edge_logits[:, None],
        observational_logits=None, graph=graph, copies=True, vectors=target, weights=None
        if l == 1 else jax.nn.log_softmax(self.weight(hidden.mean(2)).reshape(b, -1, l)))
