"""The paper's causal-transition layer: two layers of graph attention on the causal graph.

Everything that does not depend on the action is computed once for all hypotheses; of the last
layer only the two heads that are read. Source: Gendron et al. 2023, section 4; DESIGN section 3.
"""

from __future__ import annotations

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from cvq.models import causal_graph, quantizer as vq
from cvq.models.causal_graph import EdgeScorer, InterventionMask
from cvq.models.pairwise import pairwise_scores
from cvq.models.prediction import Prediction
from cvq.models.quantizer import Quantized

ATTENTIONS = ('gatv2', 'dot')
NOISES = ('off', 'exo', 'endo')
_IMPOSSIBLE = -1e9
# Bytes of scores of pairs that are kept for the gradient. They grow with A ** 2 * V ** 2, so beyond
# this they are computed again: a third more work.
_KEPT_SCORES = 2**30


@flax.struct.dataclass
class Projections:
  """What R heads know of the nodes before they look at edges; f outputs a head.

  Attributes:
    child: [B, R, V, f]. parent: [B, R, U, f]. value: [B, R, U, f], the messages.
  """
  child: jax.Array
  parent: jax.Array
  value: jax.Array


class GraphAttention(nn.Module):
  """Parameters of one graph attention layer; the computation is in plain functions below.

  Attributes:
    heads: R. inputs: n. outputs: f, of one head.
    attention: 'gatv2' (Brody et al. 2022, the edge weight being the edge's attribute) or 'dot'
      (scaled product of query and key, plus a learned multiple of the edge weight).
  """
  heads: int
  inputs: int
  outputs: int
  attention: str

  @nn.compact
  def __call__(self) -> dict[str, jax.Array]:
    """The parameters, head first: kernels [R, n, f], vectors [R, f], and [R] for 'edge' of dot."""
    if self.attention not in ATTENTIONS:
      raise ValueError(f'attention must be one of {ATTENTIONS}, not {self.attention!r}')
    r, n, f = self.heads, self.inputs, self.outputs
    kernel = nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)
    zeros, vector = nn.initializers.zeros, nn.initializers.normal(f ** -.5)
    parts = ('child', 'parent') if self.attention == 'gatv2' else ('child', 'parent', 'value')
    params = {f'{part}_kernel': self.param(f'{part}_kernel', kernel, (r, n, f)) for part in parts}
    params |= {f'{part}_bias': self.param(f'{part}_bias', zeros, (r, f)) for part in parts}
    params['bias'] = self.param('bias', zeros, (r, f))
    if self.attention == 'gatv2':
      params['score'] = self.param('score', vector, (r, f))
      params['edge'] = self.param('edge', vector, (r, f))
    else:
      params['edge'] = self.param('edge', zeros, (r,))
    return params


def project(params: dict[str, jax.Array], children: jax.Array | None, parents: jax.Array
            ) -> Projections:
  """Linear maps of the nodes by R heads.

  Args:
    params: of `GraphAttention`, [R, ...] or, with heads of its own for each example, [B, R, ...].
    children: [B, V, n], or None if only their role as parents matters. parents: [B, U, n].
  """
  each = 'bvn,rnf->brvf' if params['bias'].ndim == 2 else 'bvn,brnf->brvf'

  def linear(part, nodes):
    if f'{part}_kernel' not in params or nodes is None:
      return None
    return (jnp.einsum(each, nodes, params[f'{part}_kernel'])
            + params[f'{part}_bias'][..., None, :])

  parent = linear('parent', parents)
  value = linear('value', parents)
  return Projections(linear('child', children), parent, parent if value is None else value)


def with_roots(nodes: Projections, roots: Projections) -> Projections:
  """Adds roots after the other parents: nodes without parents but themselves."""
  join = lambda a, b: jnp.concatenate([a, b], axis=2)
  return nodes.replace(
      parent=join(nodes.parent, roots.parent), value=join(nodes.value, roots.value))


def attend(params: dict[str, jax.Array], nodes: Projections, weights: jax.Array) -> jax.Array:
  """One pass of messages along the edges, whose weights gate them.

  Args:
    params, nodes: of R heads. weights: [B, V, U] in [0, 1], row = child, column = parent.

  Returns:
    [B, R, V, f]; the bias alone for a node without parents.
  """
  edge = weights[:, None]
  if 'score' in params:
    scores = pairwise_scores(nodes.child, nodes.parent, params['score'], edge=edge,
                             edge_weight=params['edge'])
  else:
    scores = jnp.einsum('brvf,bruf->brvu', nodes.child, nodes.parent)
    scores = scores / nodes.child.shape[-1] ** .5 + params['edge'][..., None, None] * edge
  scores = checkpoint_name(scores, 'pairwise')
  return causal_graph.graph_attention(scores, edge, nodes.value) + params['bias'][..., None, :]


def _concatenate_heads(x: jax.Array) -> jax.Array:
  """[B, R, V, f] -> [B, V, R*f]."""
  return jnp.moveaxis(x, 1, 2).reshape(x.shape[0], x.shape[2], -1)


class GraphTransition(nn.Module):
  """Codes of y from codes of x and actions. Fields: see `model.transition` in configs/common.py.

  Node features: one-hot code plus sinusoidal position. The action is one more node, without
  parents but itself, and a parent of the variables that it intervenes on, with the mask as edge
  weight; the noise node of 'endo' likewise, with learned edges. Random numbers come from the rng
  stream 'sample': noise in training only, graph and mask where `sampling` is 'gumbel' (training)
  or `evaluation_sampling` says so.
  """
  codebooks: int
  codes: int
  grid: tuple[int, int]
  num_actions: int
  attention: str = 'gatv2'
  edge_hidden: int = 800
  hidden: int = 100
  noise: str = 'off'
  noise_scale: float = 1.
  sampling: str = 'gumbel'
  evaluation_sampling: str = 'mean'
  mask_temperature: float = 1.
  graph_temperature: float = 1.
  self_edges: str = 'learned'

  def setup(self):
    if self.noise not in NOISES:
      raise ValueError(f'noise must be one of {NOISES}, not {self.noise!r}')
    heads = 1 + self.num_actions
    self.mask = InterventionMask(self.num_actions)
    self.edges = EdgeScorer(heads, self.edge_hidden)
    self.action = nn.Embed(self.num_actions, self.codes,
                           embedding_init=nn.initializers.normal(1.))
    self.first = GraphAttention(heads, self.codes, self.hidden, self.attention)
    self.last = GraphAttention(heads, heads * self.hidden, self.codes, self.attention)
    if self.noise == 'endo':
      self.noise_edges = nn.Dense(1)

  def context(self, quantized: Quantized) -> jax.Array:
    """Code vectors by position, [B, H*W, K*d]: no pass over this graph is free of an action."""
    vectors = vq.to_grid(
        quantized.vectors, quantized.codebook.shape[0], self.grid)           # [B, H, W, K*d]
    return vectors.reshape(len(vectors), -1, vectors.shape[-1])

  def __call__(self, quantized: Quantized, actions: jax.Array, *, train: bool,
               single: bool = False) -> Prediction:
    """The codes of y under M hypothetical actions for each x.

    Args:
      quantized: of x; only its codes [B, V] are read.
      actions: [B, M] int.
      single: changes nothing, its actions have no alternatives.
    """
    nodes = self.nodes(quantized.codes)
    mechanisms = jnp.pad(1 + actions, ((0, 0), (1, 0)))                      # 0 and 1 + a
    logits = self.edges(nodes, mechanisms)                                   # [B, 1+M, V, V]
    weights = self.graph_weights(logits, train)
    mask_logits = self.mask(nodes)                                           # [B, A, V]
    mask = self.sample(mask_logits, self.mask_temperature, train)
    of_actions = lambda x: jnp.take_along_axis(x, actions[..., None], axis=1)
    mask_logits, mask = of_actions(mask_logits), of_actions(mask)            # [B, M, V]
    graph = self.intervene(weights[:, 0], weights[:, 1:], mask)
    return Prediction(
        logits=self.infer(nodes, graph, mask, actions, train), mask_logits=mask_logits,
        mask=mask, edge_logits=logits[:, 1:], observational_logits=logits[:, 0], graph=graph)

  def observe(self, quantized: Quantized, *, train: bool, identity: bool = False) -> Prediction:
    """The codes of y = x where nothing intervenes: M = 1 hypothesis with an empty mask.

    Args:
      quantized: of x. identity: replaces the graph by I, so each node sees itself only.
    """
    nodes = self.nodes(quantized.codes)
    b, v, _ = nodes.shape
    logits = self.edges(nodes, jnp.zeros((b, 1), jnp.int32))
    graph = (jnp.broadcast_to(jnp.eye(v), logits.shape) if identity
             else self.graph_weights(logits, train))
    return Prediction(
        logits=self.infer(nodes, graph, None, None, train), mask=jnp.zeros((b, 1, v)),
        mask_logits=jnp.full((b, 1, v), _IMPOSSIBLE), edge_logits=logits,
        observational_logits=logits[:, 0], graph=graph)

  def nodes(self, codes: jax.Array) -> jax.Array:
    """Node features, one-hot code plus position: [B, V] int -> [B, V, N]."""
    return (jax.nn.one_hot(codes, self.codes)
            + causal_graph.sinusoidal_positions(codes.shape[-1], self.codes))

  def sample(self, logits: jax.Array, temperature: float, train: bool) -> jax.Array:
    """Samples, means or thresholds of Bernoulli variables; same shape."""
    method = self.sampling if train else self.evaluation_sampling
    key = self.make_rng('sample') if method == 'gumbel' else None
    return causal_graph.sample_bernoulli(logits, key, method=method, temperature=temperature)

  def edge_weights(self, logits: jax.Array, train: bool) -> jax.Array:
    """alpha * G, the weights of edges with log-odds [...]; their mean is alpha^2."""
    return jax.nn.sigmoid(logits) * self.sample(logits, self.graph_temperature, train)

  def graph_weights(self, logits: jax.Array, train: bool) -> jax.Array:
    """Weights of the edges between variables, of log-odds [B, M, V, V]; same shape."""
    weights = self.edge_weights(logits, train)
    if self.self_edges == 'learned':
      return weights
    return jnp.where(jnp.eye(weights.shape[-1], dtype=bool), 1., weights)

  def intervene(self, observational: jax.Array, interventional: jax.Array, mask: jax.Array
                ) -> jax.Array:
    """The graph in use; see `causal_graph.combine_mechanisms`."""
    return causal_graph.combine_mechanisms(observational, interventional, mask)

  def action_edges(self, mask: jax.Array) -> jax.Array:
    """Weights of the edges from the action to the variables: [B, V] mask -> [B, V]."""
    return mask

  def infer(self, nodes: jax.Array, graph: jax.Array, mask: jax.Array | None,
            actions: jax.Array | None, train: bool) -> jax.Array:
    """Graph attention on M graphs.

    Args:
      nodes: [B, V, N]. graph: [B, M, V, V]. mask: [B, M, V] and actions: [B, M], or None
        without intervention.

    Returns:
      [B, M, V, N] logits of the codes.
    """
    noise = weights = None
    if self.noise == 'exo' and train:
      draw = jax.random.normal(self.make_rng('sample'), nodes.shape)
      nodes_in = nodes + self.noise_scale * draw
    else:
      nodes_in = nodes
    if self.noise == 'endo':
      noise = jnp.zeros_like(nodes[:, :1])
      if train:
        noise = self.noise_scale * jax.random.normal(self.make_rng('sample'), noise.shape)
      weights = self.edge_weights(self.noise_edges(nodes), train)            # [B, V, 1]
    first, last = self.first(), self.last()
    shared = project(first, nodes_in, nodes_in)

    def hypothesis(graph, mask, action, embedding):
      """[B, V, V], [B, V], [B], [B, N] (None where there is no action) -> [B, V, N]."""
      columns = [graph, None if mask is None else self.action_edges(mask)[..., None], weights]
      roots = [x for x in (None if mask is None else embedding[:, None], noise) if x is not None]
      edges = jnp.concatenate([x for x in columns if x is not None], axis=-1)
      projections = shared
      if roots:
        of_roots = project(first, None, jnp.concatenate(roots, axis=1))
        projections = with_roots(shared, of_roots)
      hidden = _concatenate_heads(nn.elu(attend(first, projections, edges)))
      parents = hidden
      if roots:  # A root has one parent, itself, so its message is its own value.
        own = nn.elu(of_roots.value + first['bias'][:, None])
        parents = jnp.concatenate([hidden, _concatenate_heads(own)], axis=1)

      def head(params):
        return attend(params, project(params, hidden, parents), edges)[:, 0]

      untouched = head(jax.tree.map(lambda x: x[:1], last))
      if mask is None:
        return untouched
      touched = head(jax.tree.map(lambda x: x[1 + action][:, None], last))
      m = mask[..., None]
      return (1 - m) * untouched + m * touched

    # One hypothesis at a time, so that memory does not grow with their number.
    scores = 4 * graph.size * (first['bias'].shape[0] + 2)
    policy = causal_graph.SAVE_SCORES if scores <= _KEPT_SCORES else None
    run = jax.checkpoint(hypothesis, policy=policy)
    if mask is None:
      return run(graph[:, 0], None, None, None)[:, None]
    by_hypothesis = jax.tree.map(
        lambda x: jnp.moveaxis(x, 1, 0), (graph, mask, actions, self.action(actions)))
    return jnp.moveaxis(jax.lax.map(lambda args: run(*args), by_hypothesis), 0, 1)
