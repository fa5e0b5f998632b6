"""Convolutions as sums of products equal XLA's own, in values and in gradients."""

import functools

from absl.testing import parameterized
import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from cvq.models import convolution

plain = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), padding='VALID',
                          dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


class ConvolutionTest(chex.TestCase, parameterized.TestCase):

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters((1, 1), (2, 2), (3, 3), (3, 2))
  def test_equals_the_convolution_of_xla(self, height, width):
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(k1, (2, 7, 6, 3))
    kernel = jax.random.normal(k2, (height, width, 3, 5))
    weights = jax.random.normal(k3, (2, 8 - height, 7 - width, 5))
    def of(function):
      loss = lambda x, kernel: jnp.sum(weights * function(x, kernel))
      return function(x, kernel), jax.grad(loss, (0, 1))(x, kernel)
    got = self.variant(functools.partial(of, convolution.convolve))()
    chex.assert_shape(got[0], weights.shape)
    chex.assert_trees_all_close(got, of(plain), rtol=1e-4, atol=1e-5)

  @parameterized.parameters(1, 3)
  def test_module_equals_that_of_flax(self, size):
    x = jax.random.normal(jax.random.key(1), (2, 6, 5, 3))
    ours, theirs = convolution.Conv(4, size), nn.Conv(4, (size, size))
    variables = ours.init(jax.random.key(2), x)
    chex.assert_trees_all_equal(variables, theirs.init(jax.random.key(2), x))
    chex.assert_trees_all_close(ours.apply(variables, x), theirs.apply(variables, x), atol=1e-5)

  def test_keeps_no_slices_for_the_gradient(self):
    """What stands between the passes is the input and the kernel, not one slice for each place."""
    x, kernel = jnp.zeros((2, 16, 16, 8)), jnp.zeros((3, 3, 8, 8))
    _, pullback = jax.vjp(convolution.convolve, x, kernel)
    kept = sum(leaf.size for leaf in jax.tree.leaves(pullback))
    assert kept <= 2 * (x.size + kernel.size)

  @parameterized.parameters('cuda', 'tpu')
  def test_an_accelerator_gets_a_convolution(self, platform):
    lowered = jax.jit(convolution.convolve).trace(
        jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 2, 2))).lower(lowering_platforms=(platform,))
    assert 'stablehlo.convolution' in lowered.as_text()
    assert 'stablehlo.dot_general' not in lowered.as_text()
