"""Convolutions by products equal XLA's own, in values and in gradients."""

import functools

from absl.testing import parameterized
import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import export, lax

from cvq.models import convolution

plain = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), padding='VALID',
                          dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


class ConvolutionTest(chex.TestCase, parameterized.TestCase):

  # In tiles where both sides have many channels; of few, the windows or the products are added.
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.product(
      kernel=((1, 1), (2, 2), (3, 3), (3, 2), (5, 5)), channels=((3, 9), (9, 3), (64, 48)))
  def test_equals_the_convolution_of_xla(self, kernel, channels):
    (height, width), (i, o) = kernel, channels
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(k1, (2, 7, 6, i))
    kernel = jax.random.normal(k2, (height, width, i, o)) / (height * width * i) ** .5
    weights = jax.random.normal(k3, (2, 8 - height, 7 - width, o))
    def of(function):
      loss = lambda x, kernel: jnp.sum(weights * function(x, kernel))
      return function(x, kernel), jax.grad(loss, (0, 1))(x, kernel)
    got = self.variant(functools.partial(of, convolution.convolve))()
    chex.assert_shape(got[0], weights.shape)
    expected = of(plain)
    # In units of each array's own size: that of a gradient grows with the places it sums over.
    in_units = lambda tree: jax.tree.map(lambda a, b: a / b.std(), tree, expected)
    chex.assert_trees_all_close(in_units(got), in_units(expected), rtol=1e-4, atol=2e-5)

  @parameterized.parameters((64, 8, 256, 4.), (64, 4, 256, 4.), (64, 2, 256, 2.25), (64, 1, 256, 1))
  def test_saves_multiplications_where_there_are_many(self, batch, grid, width, factor):
    """As many as 4x4 or 2x2 tiles save, less what their transformations take."""
    x = jax.ShapeDtypeStruct((batch, grid + 2, grid + 2, width), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, width, width), jnp.float32)
    count = lambda function: jax.jit(function).lower(x, kernel).cost_analysis()['flops']
    saved = 2 * 9 * batch * grid ** 2 * width ** 2 / count(convolution.convolve)
    assert .7 * factor < saved <= factor

  @parameterized.parameters((64, 64, 10), (3, 64, 10), (64, 3, 10), (64, 64, 3))
  def test_exports_with_the_batch_left_open(self, i, o, side):
    b, = export.symbolic_shape('b')
    kernel = jnp.ones((3, 3, i, o)) / 9 / i
    exported = export.export(jax.jit(convolution.convolve), platforms=('cpu', 'cuda', 'tpu'))(
        jax.ShapeDtypeStruct((b, side, side, i), jnp.float32), kernel)
    got = exported.call(jnp.ones((3, side, side, i)), kernel)
    chex.assert_trees_all_close(got, jnp.ones((3, side - 2, side - 2, o)), rtol=1e-5)

  @parameterized.parameters(8, 1)
  def test_half_precision_loses_no_digit(self, grid):
    x = jax.random.normal(jax.random.key(0), (4, grid + 2, grid + 2, 64), jnp.bfloat16)
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 64, 64), jnp.bfloat16) / 24
    exact = plain(x.astype(jnp.float32), kernel.astype(jnp.float32))
    got = convolution.convolve(x, kernel)
    assert got.dtype == jnp.bfloat16
    assert jnp.linalg.norm(got - exact) < 5e-3 * jnp.linalg.norm(exact)

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
