"""Masks, edges and attention on a graph, against NumPy and by their invariances."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from cvq.models import causal_graph


class SampleTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_gumbel_is_binary_with_the_right_probability(self):
    probability = jnp.array([.1, .5, .9])
    logits = jnp.broadcast_to(jnp.log(probability / (1 - probability)), (20000, 3))
    sample = self.variant(lambda l, k: causal_graph.sample_bernoulli(l, k, method='gumbel'))
    out = sample(logits, jax.random.key(0))
    self.assertEqual(set(np.unique(out)), {0., 1.})
    np.testing.assert_allclose(out.mean(0), probability, atol=.015)

  @parameterized.parameters('gumbel', 'threshold', 'mean')
  def test_gradient_passes_and_is_finite(self, method):
    logits = jnp.array([-80., -2., 0., 3., 80.])
    grad = jax.grad(lambda l: causal_graph.sample_bernoulli(
        l, jax.random.key(1), method=method, temperature=.5).sum())(logits)
    chex.assert_tree_all_finite(grad)
    self.assertTrue((grad[1:4] > 0).all())

  def test_threshold_and_mean_need_no_key(self):
    logits = jnp.array([-1., .1, 2.])
    sample = lambda method: causal_graph.sample_bernoulli(logits, None, method=method)
    np.testing.assert_array_equal(sample('threshold'), [0, 1, 1])
    np.testing.assert_allclose(sample('mean'), 1 / (1 + np.exp(-logits)), rtol=1e-6)
    with self.assertRaisesRegex(ValueError, 'sometimes'):
      sample('sometimes')


class AttentionTest(chex.TestCase):

  def test_known_answer(self):
    rng = np.random.default_rng(0)
    scores, weights = rng.normal(size=(2, 3, 4)), rng.uniform(.1, 1, size=(2, 3, 4))
    weights[0, 1] *= np.array([1, 0, 0, 1])
    values = rng.normal(size=(2, 4, 5))
    mass = np.exp(scores) * weights
    expected = (mass / mass.sum(-1, keepdims=True)) @ values
    out = causal_graph.graph_attention(*map(jnp.float32, (scores, weights, values)))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)

  @parameterized.parameters(0., 1e-30, 1e-12, 1e-4, 1.)
  def test_finite_for_extreme_scores_and_weights(self, weight):
    scores = jnp.array([[1e4, -1e4, 0.], [0., 0., 0.]])
    weights = jnp.array([[0., weight, weight], [weight, weight, weight]])
    f = lambda *a: causal_graph.graph_attention(*a).sum()
    value, grads = jax.value_and_grad(f, argnums=(0, 1, 2))(scores, weights, jnp.ones((3, 2)))
    chex.assert_tree_all_finite((value, grads))

  def test_no_parents_no_message(self):
    weights = jnp.array([[0., 0.], [0., 1.]])
    out = causal_graph.graph_attention(jnp.full((2, 2), 50.), weights, jnp.array([[3.], [7.]]))
    np.testing.assert_allclose(out, [[0.], [7.]])

  def test_a_single_parent_gets_all_attention_whatever_its_score(self):
    weights = jnp.array([[1., 0., 0.], [0., .3, 0.], [0., .7, .2]])
    values = jnp.array([[3.], [7.], [5.]])
    scores = jax.random.normal(jax.random.key(0), (3, 3))
    attend = lambda s, w: causal_graph.graph_attention(s, w, values)[:, 0]
    by_score, by_weight = jax.jacobian(attend, argnums=(0, 1))(scores, weights)
    np.testing.assert_allclose(attend(scores, weights)[:2], [3, 7], rtol=1e-6)
    for gradient in (by_score[:2], jnp.diagonal(by_weight[:2], axis1=1, axis2=2)[..., :2]):
      np.testing.assert_allclose(gradient, jnp.zeros_like(gradient), atol=1e-5)
    p = np.exp(scores[2]) * weights[2]                       # by hand: softmax over both parents
    p, message = p / p.sum(), (p * values[:, 0]).sum() / p.sum()
    np.testing.assert_allclose(by_score[2, 2], p * (values[:, 0] - message), rtol=1e-5, atol=1e-6)

  def test_messages_go_from_column_to_row(self):
    weights = jnp.array([[1., 0., 0.], [1., 0., 0.], [0., 0., 1.]])         # 0 is 1's parent
    of_values = jax.jacobian(lambda v: causal_graph.graph_attention(
        jnp.zeros((3, 3)), weights, v)[:, 0])(jnp.ones((3, 1)))[..., 0]
    np.testing.assert_allclose(of_values, weights)


class GraphTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  def test_edge_scorer_equals_an_mlp_on_concatenated_pairs(self):
    b, v, n, hidden = 2, 5, 4, 70
    nodes = jax.random.normal(jax.random.key(0), (b, v, n))
    mechanisms = jnp.array([[0, 2, 1], [0, 1, 1]])
    scorer = causal_graph.EdgeScorer(3, hidden)
    variables = scorer.init(jax.random.key(1), nodes, mechanisms)
    params = jax.tree.map(
        lambda x: x + .1 * jax.random.normal(jax.random.key(2), x.shape), variables['params'])
    out = self.variant(lambda p: scorer.apply({'params': p}, nodes, mechanisms))(params)
    chex.assert_shape(out, (b, 3, v, v))
    p = jax.tree.map(np.asarray, params)
    for example in range(b):
      for which, mechanism in enumerate(np.asarray(mechanisms[example])):
        for i in range(v):
          for j in range(v):
            pair = np.concatenate([nodes[example, i], nodes[example, j]])
            x = pair @ p['kernel'][mechanism] + p['bias'][mechanism]
            score = np.where(x > 0, x, .2 * x) @ p['out_kernel'][mechanism]
            np.testing.assert_allclose(
                out[example, which, i, j], score + p['out_bias'][mechanism], atol=1e-5)

  def test_edge_scorer_does_not_care_for_the_company(self):
    """A mechanism's edges are the same whether asked alone or with others."""
    nodes = jax.random.normal(jax.random.key(0), (2, 4, 3))
    scorer = causal_graph.EdgeScorer(5, 8)
    every = jnp.broadcast_to(jnp.arange(5), (2, 5))
    variables = scorer.init(jax.random.key(1), nodes, every)
    together = scorer.apply(variables, nodes, every)
    alone = scorer.apply(variables, nodes, jnp.array([[3], [1]]))
    np.testing.assert_allclose(alone[0, 0], together[0, 3], atol=1e-6)
    np.testing.assert_allclose(alone[1, 0], together[1, 1], atol=1e-6)

  def test_the_mask_replaces_incoming_edges_only(self):
    before, after = jnp.zeros((1, 3, 3)), jnp.ones((1, 2, 3, 3))
    mask = jnp.array([[[0., 1., 0.], [0., 0., 0.]]])
    graph = causal_graph.combine_mechanisms(before, after, mask)
    np.testing.assert_array_equal(graph[0, 0], [[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    np.testing.assert_array_equal(graph[0, 1], np.zeros((3, 3)))

  def test_parents_are_counted_without_the_node_itself(self):
    probability = np.array([[.5, .25, 0.], [1., 1., .5], [0., .75, 1.]])
    with np.errstate(divide='ignore'):                   # infinite where it is sure
      logits = np.log(probability / (1 - probability))[None, None]
    np.testing.assert_allclose(causal_graph.parents(jnp.tile(logits, (4, 2, 1, 1))),
                               [(.25 + 1.5 + .75) / 3] * 4, rtol=1e-6)

  def test_intervention_mask_is_a_function_of_node_and_action(self):
    nodes = jax.random.normal(jax.random.key(0), (2, 5, 3))
    module = causal_graph.InterventionMask(4)
    variables = module.init(jax.random.key(1), nodes)
    out = module.apply(variables, nodes)
    chex.assert_shape(out, (2, 4, 5))
    np.testing.assert_allclose(module.apply(variables, nodes[:, ::-1]), out[..., ::-1], atol=1e-6)

  @parameterized.parameters(6, 7)
  def test_positions_differ_and_are_bounded(self, dim):
    positions = causal_graph.sinusoidal_positions(50, dim)
    chex.assert_shape(positions, (50, dim))
    np.testing.assert_allclose(positions[0], np.arange(dim) % 2, atol=1e-6)
    self.assertLessEqual(jnp.abs(positions).max(), 1.)
    self.assertLen(np.unique(np.round(positions, 4), axis=0), 50)
