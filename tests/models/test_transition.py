"""The default transition layer against a NumPy loop, and how far its messages reach."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from cvq.models import transition
from cvq.models.quantizer import Quantized, look_up, normalise

B, K, N, D, A, WIDTH, HEADS, INNER, GRID = 2, 2, 5, 3, 4, 8, 2, 3, (2, 3)
S = math.prod(GRID)
ACTIONS = jnp.broadcast_to(jnp.arange(A), (B, A))


def quantized():
  codebook = normalise(jax.random.normal(jax.random.key(0), (K, N, D)))
  codes = jax.random.randint(jax.random.key(1), (B, K * S), 0, N)
  vectors = look_up(codes, codebook)
  return Quantized(codes, vectors, vectors, codebook)


@functools.cache
def make(rounds=1, alternatives=1, edges='learned', messages='offsets', reach=1):
  """-> layer, params (random, so that no bias is zero)."""
  layer = transition.TiedTransition(
      codebooks=K, codes=N, dim=D, grid=GRID, num_actions=A, width=WIDTH, messages=messages,
      reach=reach, inner=INNER, heads=HEADS, mlp=7, edge_hidden=4, noise='off', noise_scale=1.,
      sampling='mean', evaluation_sampling='mean', graph_temperature=1., rounds=rounds,
      alternatives=alternatives, edges=edges)
  shapes = jax.eval_shape(
      lambda: layer.init(jax.random.key(0), quantized(), ACTIONS, train=False))['params']
  leaves, tree = jax.tree.flatten(shapes)
  keys = jax.random.split(jax.random.key(2), len(leaves))
  return layer, jax.tree.unflatten(
      tree, [.5 * jax.random.normal(key, x.shape) for key, x in zip(keys, leaves)])


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def gelu(x):
  return np.asarray(jax.nn.gelu(x))


def dense(p, x):
  return x @ p['kernel'] + p['bias']


def norm(p, x):
  return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * p['scale'] \
      + p['bias']


def places():
  return [(i // GRID[1], i % GRID[1]) for i in range(S)]


def offset(table, child, parent):
  """The entry of a table of relative positions."""
  (r, c), (r2, c2) = places()[child], places()[parent]
  return table[..., r - r2 + GRID[0] - 1, c - c2 + GRID[1] - 1]


def away(child, parent):
  """Rows and columns from child to parent."""
  return tuple(b - a for a, b in zip(places()[child], places()[parent]))


def digest(p, x):
  return x + dense(p['mlp_out'], gelu(dense(p['mlp_in'], norm(p['norm_mlp'], x))))


def by_offset(p, nodes, edges, reach):
  """One round of messages of one example, by a loop over children and parents."""
  values = dense(p['value'], norm(p['norm_messages'], nodes))
  side = 2 * reach + 1
  maps = p['out']['kernel'].reshape(side, side, INNER, WIDTH)               # one for each offset
  x = nodes + p['out']['bias']
  for i in range(S):
    for j in range(S):
      rows, cols = away(i, j)
      if max(abs(rows), abs(cols)) <= reach:
        x[i] += edges[i, j] * values[j] @ maps[rows + reach, cols + reach]
  return digest(p, x)


def by_attention(p, nodes, edges):
  """The same, by a loop over children, heads and parents."""
  x = norm(p['norm_attention'], nodes)
  q, k, v = (dense(p[name], x).reshape(S, HEADS, -1) for name in ('query', 'key', 'value'))
  heard = np.zeros((S, HEADS, WIDTH // HEADS))
  for i in range(S):
    for h in range(HEADS):
      mass = [edges[i, j] * np.exp(q[i, h] @ k[j, h] / np.sqrt(WIDTH // HEADS)
                                   + offset(p['bias'], i, j)[h]) for j in range(S)]
      heard[i, h] = sum(m * v[j, h] for j, m in enumerate(mass)) / sum(mass)
  return digest(p, nodes + dense(p['out'], heard.reshape(S, -1)))


def embeddings(p, alternatives):
  """Scale and shift of every action and alternative: [A * L, n] each."""
  scale, shift = (p[f'action_{name}']['embedding'] for name in ('scale', 'shift'))
  if alternatives == 1:
    return scale, shift
  rows = range(A * alternatives)
  return tuple(np.stack([of[r // alternatives] + p[f'own_{name}']['embedding'][r] for r in rows])
               for of, name in ((scale, 'scale'), (shift, 'shift')))


def reference(p, vectors, codebook, rounds, alternatives, reach):
  """One example: log-odds of codes [A * L, V, N] and mask [A * L, V], edges [S, S], graph
  [A * L, S, S], means of the hidden layer [A * L, n]. reach: None of attention."""
  patches = vectors.reshape(K, S, D)
  nodes = np.stack([dense(p['embed'], np.concatenate(patches[:, i]) * np.sqrt(D))
                    for i in range(S)]) + p['position']
  edges = np.zeros((S, S))
  for i in range(S):
    for j in range(S):
      score = dense(p['graph']['child'], nodes[i]) @ dense(p['graph']['parent'], nodes[j])
      edges[i, j] = sigmoid(score / 2 + offset(p['graph']['offset'], i, j))  # 2: root of 4
      if reach is not None and max(map(abs, away(i, j))) > reach:
        edges[i, j] = 0
  for name in ['inference'] + [f'further_{r}' for r in range(rounds - 1)]:
    nodes = (by_attention(p[name], nodes, edges) if reach is None
             else by_offset(p[name], nodes, edges, reach))
  scale, shift = embeddings(p, alternatives)
  m = len(scale)
  logits, mask, graph = np.zeros((m, K, S, N)), np.zeros((m, K, S)), np.zeros((m, S, S))
  means = np.zeros((m, WIDTH))
  for a in range(m):
    for i in range(S):
      hidden = gelu(dense(p['child'], nodes[i]) * (1 + scale[a]) + shift[a])
      means[a] += hidden / S
      step = dense(p['step'], hidden).reshape(K, D)
      mask[a, :, i] = dense(p['mask'], hidden)
      for k in range(K):
        target = np.asarray(normalise(patches[k, i] + step[k]))
        logits[a, k, i] = np.exp(p['log_kappa']) * codebook[k] @ target
      touched = 1 - np.prod(1 - sigmoid(mask[a, :, i]))
      graph[a, i] = (1 - touched) * np.eye(S)[i] + touched * edges[i]
  return logits.reshape(m, K * S, N), mask.reshape(m, K * S), edges, graph, means


class TiedTransitionTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters((2, 1, 1), (1, 3, 2), (2, 1, None))
  def test_equals_a_loop_over_nodes_and_actions(self, rounds, alternatives, reach):
    layer, params = make(rounds, alternatives, reach=reach,
                         messages='attention' if reach is None else 'offsets')
    q = quantized()
    out = self.variant(lambda p: layer.apply({'params': p}, q, ACTIONS, train=False))(params)
    chex.assert_shape(out.vectors, (B, A * alternatives, K * S, D))
    np.testing.assert_allclose(jnp.linalg.norm(out.vectors, axis=-1), 1, rtol=1e-5)
    arrays = jax.tree.map(np.asarray, params)
    for b in range(B):
      logits, mask, edges, graph, means = reference(
          arrays, np.asarray(q.vectors[b]), np.asarray(q.codebook), rounds, alternatives,
          reach)
      np.testing.assert_allclose(out.logits[b], logits, rtol=1e-4, atol=1e-5)
      np.testing.assert_allclose(out.mask_logits[b], mask, rtol=1e-4, atol=1e-5)
      np.testing.assert_allclose(jax.nn.sigmoid(out.edge_logits[b, 0]), edges, rtol=1e-4, atol=1e-8)
      np.testing.assert_allclose(out.graph[b], graph, rtol=1e-4, atol=1e-6)
      if alternatives > 1:
        odds = np.exp(dense(arrays['weight'], means)).reshape(A, alternatives)
        np.testing.assert_allclose(
            np.exp(out.weights[b]), odds / odds.sum(-1, keepdims=True), rtol=1e-4)
      else:
        self.assertIsNone(out.weights)

  def test_before_they_part_alternatives_are_one(self):
    layer, params = make(alternatives=3)
    shared = {name: p for name, p in params.items() if name not in ('own_scale', 'own_shift',
                                                                   'weight')}
    one = layer.clone(alternatives=1)
    expected = one.apply({'params': shared}, quantized(), ACTIONS, train=True)
    found = layer.apply({'params': params}, quantized(), ACTIONS, train=True, single=True)
    chex.assert_trees_all_equal(found, expected)

  def test_alternatives_begin_nearly_alike(self):
    layer, _ = make(alternatives=3)
    params = layer.init(jax.random.key(0), quantized(), ACTIONS, train=False)['params']
    for name in ('scale', 'shift'):
      apart = float(params[f'own_{name}']['embedding'].std())
      spread = float(params[f'action_{name}']['embedding'].std())
      self.assertBetween(apart / spread, .5 * transition.SPLIT, 2 * transition.SPLIT)

  @parameterized.parameters(1, 2, 3)
  def test_each_round_carries_messages_one_edge_further(self, rounds):
    """On a chain, every node has the one to the left and itself as parents, and no other."""
    layer, params = make(rounds)
    off = jnp.full(params['graph']['offset'].shape, -200.)
    left = off.at[GRID[0] - 1, GRID[1] - 1:GRID[1] + 1].set(200.)            # same row; 0 or 1
    params = params | {'graph': params['graph'] | {'offset': left}}
    q = quantized()

    def of_last(vectors):                        # of the first row: places 0, 1 and 2
      return layer.apply({'params': params}, q.replace(vectors=vectors),
                         method=layer.context)[0, 2]
    gradient = jax.jacobian(of_last)(q.vectors)[:, 0].reshape(WIDTH, K, S, D)
    reached = np.abs(gradient).max((0, 1, 3)) > 1e-3
    np.testing.assert_array_equal(reached, [rounds >= 2, True, True, False, False, False])

  def test_a_graph_with_all_edges_has_as_many_parents_as_are_possible(self):
    for fields, expected in (({'messages': 'attention'}, S), ({'reach': 2}, S),
                             ({'reach': 1}, (4 * 4 + 2 * 6) / 6)):       # corners; middle column
      layer, params = make(edges='all', **fields)
      self.assertAlmostEqual(layer.possible_parents, expected)
      rest = {name: p for name, p in params.items() if name != 'graph'}
      found = layer.apply({'params': rest}, quantized(), ACTIONS, train=True)
      parents = jax.nn.sigmoid(found.edge_logits).sum(-1).mean()
      np.testing.assert_allclose(parents, expected, rtol=1e-5)

  @parameterized.parameters('all', 'none')
  def test_given_edges_are_those_of_a_learned_graph_that_found_them(self, edges):
    learned, params = make(reach=2)                      # as far as this grid goes
    layer, _ = make(edges=edges, reach=2)
    there = np.ones((S, S)) if edges == 'all' else np.eye(S)
    own = GRID[0] - 1, GRID[1] - 1                       # no rows and no columns away
    offset = jnp.full(params['graph']['offset'].shape, 200. if edges == 'all' else -200.)
    graph = params['graph'] | {'offset': offset.at[own].set(200.)}
    expected = learned.apply({'params': params | {'graph': graph}}, quantized(), ACTIONS,
                             train=False)
    rest = {name: p for name, p in params.items() if name != 'graph'}
    found = layer.apply({'params': rest}, quantized(), ACTIONS, train=True)
    self.assertNotIn('graph', jax.eval_shape(
        lambda: layer.init(jax.random.key(0), quantized(), ACTIONS, train=False))['params'])
    for name in ('logits', 'mask_logits', 'graph', 'vectors'):
      np.testing.assert_allclose(getattr(found, name), getattr(expected, name),
                                 rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jax.nn.sigmoid(found.edge_logits[0, 0]), there, atol=1e-6)

  @parameterized.parameters('gumbel', 'mean')
  def test_edges_after_training_are_the_mean_of_those_in_training(self, sampling):
    layer, params = make()
    layer = layer.clone(sampling=sampling)

    @functools.partial(jax.jit, static_argnames='train')
    def edges(keys, train):
      return jax.vmap(lambda key: layer.apply(
          {'params': params}, quantized(), train=train, method='_on_graph',
          rngs={'sample': key})[2])(keys).mean(0)
    keys = jax.random.split(jax.random.key(3), 800)
    np.testing.assert_allclose(edges(keys, True), edges(keys, False), atol=.06)  # 5 deviations

  def test_an_action_is_predicted_alike_alone_and_among_others(self):
    layer, params = make()
    predict = lambda actions: layer.apply({'params': params}, quantized(), actions, train=False)
    every, one = predict(ACTIONS), predict(jnp.array([[2], [0]]))
    for name in ('logits', 'mask_logits', 'graph', 'vectors'):
      expected = jnp.stack([getattr(every, name)[0, 2], getattr(every, name)[1, 0]])
      np.testing.assert_allclose(getattr(one, name)[:, 0], expected, rtol=1e-5, atol=1e-6)
