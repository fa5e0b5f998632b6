"""The paper's transition layer against a NumPy loop, and who may influence whom."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from cvq.models import gat
from tests.models import graph_layer
from tests.models.graph_layer import A, B, N, V


def leaky(x):
  return np.where(x > 0, x, .2 * x)


def reference_layer(p, attention, nodes, weights, head):
  """One head of one example, with loops: nodes [U, n], weights [U, U] -> [U, f]."""
  linear = lambda part: nodes @ p[f'{part}_kernel'][head] + p[f'{part}_bias'][head]
  child, parent = linear('child'), linear('parent')
  value = parent if attention == 'gatv2' else linear('value')
  out = np.zeros_like(value)
  for i in range(len(nodes)):
    mass = np.zeros(len(nodes))
    for j in range(len(nodes)):
      if attention == 'gatv2':
        score = p['score'][head] @ leaky(child[i] + parent[j] + weights[i, j] * p['edge'][head])
      else:
        score = child[i] @ parent[j] / child.shape[1] ** .5 + p['edge'][head] * weights[i, j]
      mass[j] = np.exp(score) * weights[i, j]
    if mass.sum() > 0:
      out[i] = (mass / mass.sum()) @ value
  return out + p['bias'][head]


def reference(params, attention, nodes, graph, mask, action):
  """One example, one action, the full extended graph and all heads: -> [V, N] logits."""
  u = V + 1
  weights = np.zeros((u, u))
  weights[:V, :V] = graph
  weights[:V, V] = mask                        # the action is a parent of what it intervenes on
  weights[V, V] = 1.
  x = np.concatenate([nodes, params['action']['embedding'][action][None]])
  heads = [reference_layer(params['first'], attention, x, weights, r) for r in range(1 + A)]
  hidden = np.concatenate(heads, -1)
  hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
  last = [reference_layer(params['last'], attention, hidden, weights, r) for r in (0, 1 + action)]
  return ((1 - mask[:, None]) * last[0][:V] + mask[:, None] * last[1][:V])


class GraphTransitionTest(chex.TestCase):

  @parameterized.parameters('gatv2', 'dot')
  def test_equals_a_loop_over_nodes_and_heads(self, attention):
    layer, params, codes, actions = graph_layer.make(attention=attention)
    out = graph_layer.predict(layer, params, codes, actions)
    nodes = np.asarray(layer.apply({'params': params}, codes, method=layer.nodes))
    p = jax.tree.map(np.asarray, params)
    for b in range(B):
      for m in range(A):
        expected = reference(p, attention, nodes[b], out.graph[b, m], out.mask[b, m], m)
        np.testing.assert_allclose(out.logits[b, m], expected, rtol=1e-4, atol=1e-4)

  def test_shapes_and_finite(self):
    self.check_shapes('endo')

  @pytest.mark.slow
  def test_shapes_and_finite_of_other_noises(self):
    self.check_shapes('off')
    self.check_shapes('exo')

  def check_shapes(self, noise):
    layer, params, codes, actions = graph_layer.make(noise=noise)
    for train in (False, True):
      out = graph_layer.predict(layer, params, codes, actions[:, :3], train=train)
      chex.assert_shape(
          (out.logits, out.mask_logits, out.mask, out.edge_logits, out.observational_logits,
           out.graph),
          ((B, 3, V, N), (B, 3, V), (B, 3, V), (B, 3, V, V), (B, V, V), (B, 3, V, V)))
      seen = graph_layer.observe(layer, params, codes, train=train)
      chex.assert_shape((seen.logits, seen.mask, seen.graph),
                        ((B, 1, V, N), (B, 1, V), (B, 1, V, V)))
      chex.assert_tree_all_finite((out, seen))

  def test_one_hypothesis_equals_its_place_among_all(self):
    layer, params, codes, actions = graph_layer.make()
    every = graph_layer.predict(layer, params, codes, actions)
    one = graph_layer.predict(layer, params, codes, jnp.array([[2], [0]]))
    for b, action in ((0, 2), (1, 0)):
      chex.assert_trees_all_close(
          jax.tree.map(lambda x: x[b, 0], one.replace(observational_logits=None)),
          jax.tree.map(lambda x: x[b, action], every.replace(observational_logits=None)),
          atol=1e-5)

  def test_messages_follow_the_graph(self):
    """A node's logits change with its own code and with its ancestors' in two steps, only."""
    layer, params, codes, _ = graph_layer.make()
    chain = jnp.eye(V) + jnp.eye(V, k=-1)                    # the parent of i is i - 1
    graph = jnp.broadcast_to(chain, (B, 1, V, V))
    run = lambda codes: graph_layer.infer(layer, params, codes, graph, None, None)[0, 0]
    before = run(codes)
    for j in range(V):
      moved = np.abs(run(codes.at[:, j].set((codes[:, j] + 1) % N)) - before).max(-1) > 1e-7
      np.testing.assert_array_equal(moved, [j <= i <= j + 2 for i in range(V)])

  def test_identity_graph_keeps_nodes_apart(self):
    layer, params, codes, _ = graph_layer.make()
    run = lambda codes: graph_layer.observe(layer, params, codes, identity=True).logits[0, 0]
    before = run(codes)
    for j in range(V):
      moved = np.abs(run(codes.at[:, j].set((codes[:, j] + 1) % N)) - before).max(-1) > 1e-7
      np.testing.assert_array_equal(moved, np.arange(V) == j)

  def test_every_node_is_its_own_parent_where_self_edges_are_given(self):
    _, params, codes, actions = graph_layer.make()
    for train in (False, True):
      learned, given = (
          graph_layer.predict(graph_layer.make(self_edges=edges)[0], params, codes, actions,
                              train=train).graph for edges in ('learned', 'all'))
      self.assertLess(jnp.diagonal(learned, axis1=-2, axis2=-1).min(), .9)
      np.testing.assert_array_equal(jnp.diagonal(given, axis1=-2, axis2=-1), 1.)
      off = ~np.eye(V, dtype=bool)
      np.testing.assert_array_equal(given[..., off], learned[..., off])
    seen = graph_layer.observe(graph_layer.make(self_edges='all')[0], params, codes, train=True)
    np.testing.assert_array_equal(jnp.diagonal(seen.graph, axis1=-2, axis2=-1), 1.)

  def test_no_action_no_mask(self):
    """Without intervention mechanism and head 0 alone count: the empty mask of any action."""
    layer, params, codes, actions = graph_layer.make()
    seen = graph_layer.observe(layer, params, codes)
    np.testing.assert_array_equal(seen.mask, 0.)
    np.testing.assert_array_equal(jax.nn.sigmoid(seen.mask_logits), 0.)
    empty = graph_layer.infer(layer, params, codes, jnp.repeat(seen.graph, A, 1),
                              jnp.zeros((B, A, V)), actions)
    np.testing.assert_allclose(empty, jnp.repeat(seen.logits, A, 1), atol=1e-5)

  def test_only_the_heads_in_use_get_a_gradient(self):
    """Action 2 trains heads 0 and 3 of the last layer, and mechanisms 0 and 3."""
    layer, params, codes, _ = graph_layer.make()
    def loss(p):
      out = graph_layer.predict(layer, p, codes, jnp.full((B, 1), 2), train=True)
      return jnp.square(out.logits).sum()
    grads = jax.jit(jax.grad(loss))(params)
    chex.assert_tree_all_finite(grads)
    used = lambda x: np.abs(x).max(axis=tuple(range(1, x.ndim))) > 0
    expected = [True, False, False, True, False]
    np.testing.assert_array_equal(used(grads['last']['child_kernel']), expected)
    np.testing.assert_array_equal(used(grads['edges']['kernel']), expected)
    np.testing.assert_array_equal(used(grads['first']['parent_kernel']), [True] * (1 + A))
    np.testing.assert_array_equal(used(grads['action']['embedding']), np.arange(A) == 2)
    self.assertGreater(np.abs(grads['mask']['out']['kernel'][:, 2]).max(), 0)

  @pytest.mark.slow
  def test_noise_is_drawn_in_training_only(self):
    for noise in ('exo', 'endo'):
      layer, params, codes, actions = graph_layer.make(noise=noise, sampling='mean')
      run = lambda train, seed: graph_layer.predict(
          layer, params, codes, actions, train=train, seed=seed).logits
      self.assertGreater(jnp.abs(run(True, 0) - run(True, 1)).max(), 1e-3)
      np.testing.assert_array_equal(run(False, 0), run(False, 1))

  def test_threshold_in_evaluation_is_binary(self):
    layer, params, codes, actions = graph_layer.make(evaluation_sampling='threshold')
    out = graph_layer.predict(layer, params, codes, actions)
    np.testing.assert_array_equal(out.mask, out.mask_logits > 0)

  @parameterized.parameters(('attention', 'soft'), ('noise', 'pink'))
  def test_unknown_choices(self, field, value):
    with self.assertRaisesRegex(ValueError, value):
      graph_layer.make(**{field: value})

  @parameterized.parameters('gatv2', 'dot')
  def test_weights_of_zero_stop_messages_and_keep_gradients_finite(self, attention):
    layer = gat.GraphAttention(2, 3, 4, attention)
    params = layer.init(jax.random.key(0))['params']
    nodes = jax.random.normal(jax.random.key(1), (1, 5, 3))
    def run(nodes, weights):
      return gat.attend(params, gat.project(params, nodes, nodes), weights)
    weights = jnp.eye(5)[None].at[0, 2].set(0.)
    out = jax.jit(run)(nodes, weights)
    np.testing.assert_allclose(out[0, :, 2], params['bias'], atol=1e-6)
    chex.assert_tree_all_finite(
        jax.jit(jax.grad(lambda *a: jnp.square(run(*a)).sum(), (0, 1)))(nodes, weights))

  @pytest.mark.slow
  def test_scores_that_are_too_many_to_keep_are_computed_again(self):
    """The same gradient; and what is kept for it does not grow with hypotheses times heads."""
    layer, params, codes, actions = graph_layer.make(sampling='mean')
    actions = jnp.tile(actions, (1, 8))

    def compiled(kept):
      def loss(params):
        out = layer.apply({'params': params}, graph_layer.quantized(codes), actions, train=True)
        return jnp.square(out.logits).mean()
      with mock.patch.object(gat, '_KEPT_SCORES', kept):
        return jax.jit(jax.grad(loss)).lower(params).compile()

    keep, again = compiled(2**30), compiled(0)
    chex.assert_trees_all_close(again(params), keep(params), rtol=1e-4, atol=1e-6)
    scores = 4 * actions.size * (1 + A + 2) * V * (V + 1)
    self.assertLess(again.memory_analysis().temp_size_in_bytes,
                    keep.memory_analysis().temp_size_in_bytes - scores // 2)
