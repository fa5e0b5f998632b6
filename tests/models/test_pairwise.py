"""pairwise_scores against the naive expression, values and gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from cvq.models.pairwise import pairwise_scores


def naive(left, right, weight, edge=None, edge_weight=None, slope=.2):
  """With every pair's hidden layer in memory: [..., V, U, h]."""
  x = left[..., :, None, :] + right[..., None, :, :]
  if edge is not None:
    x = x + edge[..., None] * edge_weight[..., None, None, :]
  return (jnp.where(x >= 0, x, slope * x) * weight[..., None, None, :]).sum(-1)


def fast(left, right, weight, edge=None, edge_weight=None, slope=.2):
  return pairwise_scores(left, right, weight, edge=edge, edge_weight=edge_weight, slope=slope)


def operands(v, u, h, edges):
  """Weights shared by examples, edges shared by heads: B = 2 examples, R = 3 heads."""
  rng = np.random.default_rng(0)
  shapes = [(2, 3, v, h), (2, 3, u, h), (3, h)] + ([(2, 1, v, u), (3, h)] if edges else [])
  return [rng.normal(size=s).astype(np.float32) for s in shapes]


class PairwiseTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(
      (4, 4, 3, False), (4, 4, 3, True), (5, 7, 60, True), (55, 3, 50, True), (1, 1, 1, True),
      (3, 52, 101, False))
  def test_equals_the_naive_expression(self, v, u, h, edges):
    args = operands(v, u, h, edges)
    out = self.variant(fast)(*args)
    chex.assert_shape(out, (2, 3, v, u))
    np.testing.assert_allclose(out, naive(*args), rtol=1e-4, atol=1e-4)

  @parameterized.parameters((5, 7, 60, False), (5, 7, 60, True), (55, 3, 4, True))
  def test_gradients_of_all_operands(self, v, u, h, edges):
    args = operands(v, u, h, edges)
    cotangent = np.random.default_rng(1).normal(size=(2, 3, v, u)).astype(np.float32)
    grads = jax.jit(jax.vjp(fast, *args)[1])(cotangent)
    expected = jax.vjp(naive, *args)[1](cotangent)
    chex.assert_trees_all_equal_shapes(grads, expected)
    chex.assert_trees_all_close(grads, expected, rtol=1e-3, atol=1e-3)

  def test_slope_and_direction(self):
    """Row = left = child, column = right = parent; slope 1 is linear, slope 0 a ReLU."""
    left = jnp.array([[1.], [-2.]])
    right = jnp.array([[10.], [1.], [-5.]])
    relu = pairwise_scores(left, right, jnp.array([2.]), slope=0.)
    np.testing.assert_allclose(relu, [[22, 4, 0], [16, 0, 0]], rtol=1e-6)
    linear = pairwise_scores(left, right, jnp.array([2.]), slope=1.)
    np.testing.assert_allclose(linear, [[22, 4, -8], [16, -2, -14]], rtol=1e-6)

  def test_pairs_of_hidden_layers_are_never_in_memory(self):
    v, u, h = 64, 48, 200
    args = [jnp.zeros(s) for s in ((3, v, h), (3, u, h), (h,), (3, v, u), (h,))]
    grad = jax.grad(lambda *a: fast(*a).sum(), argnums=(0, 1, 2, 3, 4))
    memory = jax.jit(grad).lower(*args).compile().memory_analysis()
    if memory is None:
      self.skipTest('this backend does not say what memory it needs')
    self.assertLess(memory.temp_size_in_bytes, 4 * 3 * v * u * h / 2)

  def test_edge_needs_its_weight(self):
    with self.assertRaisesRegex(ValueError, 'together'):
      pairwise_scores(jnp.ones((2, 3)), jnp.ones((2, 3)), jnp.ones(3), edge=jnp.ones((2, 2)))
