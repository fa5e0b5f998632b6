"""The 2x2 rewriting of strided and transposed convolutions equals XLA's own."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
from jax import lax

from cvq.models import strided

LAYOUT = ('NHWC', 'HWIO', 'NHWC')


class StridedTest(chex.TestCase, parameterized.TestCase):

  def setUp(self):
    super().setUp()
    k1, k2 = jax.random.split(jax.random.key(0))
    self.x = jax.random.normal(k1, (2, 8, 12, 3))
    self.kernel = jax.random.normal(k2, (4, 4, 3, 5))

  @chex.variants(with_jit=True, without_jit=True)
  def test_downsample_equals_strided_convolution(self):
    expected = lax.conv_general_dilated(
        self.x, self.kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT)
    got = self.variant(strided.downsample_conv)(self.x, self.kernel)
    chex.assert_shape(got, (2, 4, 6, 5))
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-5)

  @chex.variants(with_jit=True, without_jit=True)
  def test_upsample_equals_transposed_convolution(self):
    expected = lax.conv_transpose(self.x, self.kernel, (2, 2), 'SAME', dimension_numbers=LAYOUT)
    got = self.variant(strided.upsample_conv)(self.x, self.kernel)
    chex.assert_shape(got, (2, 16, 24, 5))
    chex.assert_trees_all_close(got, expected, rtol=1e-5, atol=1e-5)

  def test_gradients_equal_those_of_the_plain_convolutions(self):
    def plain(x, k):
      y = lax.conv_general_dilated(x, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT)
      return jnp.sum(jnp.sin(y))
    ours = lambda x, k: jnp.sum(jnp.sin(strided.downsample_conv(x, k)))
    chex.assert_trees_all_close(
        jax.grad(ours, (0, 1))(self.x, self.kernel),
        jax.grad(plain, (0, 1))(self.x, self.kernel), rtol=1e-4, atol=1e-4)
