"""Convolutions in tiles equal XLA's own, in values and in gradients, for every tile there is."""

import functools

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jax import lax
import numpy as np

from cvq.models import winograd

plain = functools.partial(lax.conv_general_dilated, window_strides=(1, 1), padding='VALID',
                          dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
TILES = ((2, 2, (4, 4)), (2, 2, (3, 1)), (3, 3, (4, 4)), (3, 3, (2, 3)), (3, 2, (2, 5)),
         (1, 4, (1, 3)))


def draw(shape, kernel, dtype=jnp.float32):
  """Input, kernel of variance 1 / fan in, and weights of the output."""
  k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(k1, shape, dtype)
  kernel = jax.random.normal(k2, kernel, dtype) / np.prod(kernel[:3]) ** .5
  return x, kernel, jax.random.normal(k3, jax.eval_shape(plain, x, kernel).shape, dtype)


def results(function, x, kernel, weights):
  """Output and both gradients."""
  y, pullback = jax.vjp(function, x, kernel)
  return y, *pullback(weights)


class WinogradTest(chex.TestCase, parameterized.TestCase):

  @parameterized.parameters(1, 2, 3, 4)
  def test_matrices_are_a_convolution_in_one_dimension(self, k):
    rng = np.random.default_rng(0)
    for m, _ in winograd.tiles(k, 1):
      of_input, of_kernel, of_output = winograd.matrices(m, k)
      x, kernel = rng.normal(size=m + k - 1), rng.normal(size=k)
      np.testing.assert_allclose(of_output.T @ ((of_input @ x) * (of_kernel @ kernel)),
                                 np.correlate(x, kernel, 'valid'), rtol=1e-12)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*TILES)
  def test_equals_the_convolution_of_xla(self, h, w, tile):
    arguments = draw((2, 9, 7, 3), (h, w, 3, 5))           # tiles stick out on some sides
    ours = self.variant(functools.partial(winograd.convolve, tile=tile))
    chex.assert_trees_all_close(
        results(ours, *arguments), results(plain, *arguments), rtol=1e-4, atol=2e-5)

  @parameterized.parameters(*TILES)
  def test_exact_in_double_precision(self, h, w, tile):
    with jax.enable_x64(True):
      arguments = draw((1, 4, 12, 2), (h, w, 2, 3), jnp.float64)
      ours = functools.partial(winograd.convolve, tile=tile)
      chex.assert_trees_all_close(
          results(ours, *arguments), results(plain, *arguments), rtol=1e-9, atol=1e-11)

  @parameterized.parameters((3, (4, 4)), (2, (4, 4)), (2, (3, 3)))
  def test_error_at_the_width_of_the_paper(self, k, tile):
    """Of the results as a whole, in single precision."""
    arguments = draw((2, 10, 10, 256), (k, k, 256, 256))
    ours = results(functools.partial(winograd.convolve, tile=tile), *arguments)
    for got, expected in zip(ours, results(plain, *arguments), strict=True):
      assert jnp.linalg.norm(got - expected) < 5e-6 * jnp.linalg.norm(expected)

  @parameterized.parameters(*TILES)
  def test_multiplications_are_what_xla_counts(self, h, w, tile):
    run = jax.jit(functools.partial(winograd.convolve, tile=tile))
    shape, kernel = (9, 7, 3), (h, w, 3, 5)
    one, two = (run.lower(jnp.zeros((batch, *shape)), jnp.zeros(kernel)).cost_analysis()['flops']
                for batch in (1, 2))
    assert two - one == 2 * winograd.multiplications((1, *shape), kernel, tile)
