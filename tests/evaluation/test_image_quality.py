"""Tests of cvq.evaluation.image_quality against scikit-image and known answers."""

from absl.testing import absltest
from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np
from skimage import metrics

from cvq.errors import UserError
from cvq.evaluation import image_quality


def _images(kind: str):
  """Two batches [n, H, W, C] in [0, 1], the second a disturbed copy of the first."""
  rng = np.random.default_rng(0)
  if kind == 'binary':
    a = np.zeros((3, 64, 64, 1))
    a[:, 20:40, 25:41] = 1
    b = np.roll(a, (1, 2), (1, 2))
    b[1] = rng.random((64, 64, 1)) > .9
  else:
    a = rng.random((3, 17, 24, 3))
    b = np.clip(a + .2 * rng.standard_normal(a.shape), 0, 1)
  return a.astype(np.float32), b.astype(np.float32)


class ImageQualityTest(chex.TestCase):

  @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
  @parameterized.parameters('binary', 'colour')
  def test_against_skimage(self, kind):
    a, b = _images(kind)
    figures = self.variant(
        lambda a, b: {name: f(a, b) for name, f in image_quality.FIGURES.items()})(a, b)
    oracles = {
        'mse': metrics.mean_squared_error,
        'psnr': lambda a, b: metrics.peak_signal_noise_ratio(a, b, data_range=1),
        'ssim': lambda a, b: metrics.structural_similarity(
            a, b, data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False)}
    self.assertEqual(figures.keys(), oracles.keys())
    for name, oracle in oracles.items():
      chex.assert_shape(figures[name], (3,))
      expected = np.array([oracle(x, y) for x, y in zip(a.astype(float), b.astype(float))])
      np.testing.assert_allclose(figures[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)

  def test_equal_images(self):
    a, _ = _images('binary')
    np.testing.assert_array_equal(image_quality.mse(a, a), 0)
    np.testing.assert_allclose(image_quality.psnr(a, a), image_quality.MAX_PSNR)
    np.testing.assert_allclose(image_quality.ssim(a, a), 1, atol=1e-6)

  def test_by_hand(self):
    black, grey = jnp.zeros((1, 16, 16, 1)), jnp.full((1, 16, 16, 1), .1)
    self.assertAlmostEqual(float(image_quality.mse(black, grey)[0]), .01, places=6)
    self.assertAlmostEqual(float(image_quality.psnr(black, grey)[0]), 20, places=4)
    # Flat images have no variance: SSIM is C1 / (mu^2 + C1).
    self.assertAlmostEqual(float(image_quality.ssim(black, grey)[0]), 1e-4 / (.01 + 1e-4),
                           places=4)

  @parameterized.parameters('binary', 'colour')
  def test_symmetric_and_unmoved_by_flips(self, kind):
    a, b = _images(kind)
    for name, figure in image_quality.FIGURES.items():
      expected = figure(a, b)
      for other in (figure(b, a), figure(a[:, ::-1], b[:, ::-1]),
                    figure(a.swapaxes(1, 2), b.swapaxes(1, 2)), figure(a[..., ::-1], b[..., ::-1]),
                    figure(a[::-1], b[::-1])[::-1]):
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-6, err_msg=name)

  def test_more_noise_is_worse(self):
    a, _ = _images('colour')
    noise = np.random.default_rng(1).standard_normal(a.shape)
    levels = [np.clip(a + s * noise, 0, 1).astype(np.float32) for s in (.02, .05, .1, .3)]
    self.assertTrue((np.diff([image_quality.mse(a, b) for b in levels], axis=0) > 0).all())
    self.assertTrue((np.diff([image_quality.psnr(a, b) for b in levels], axis=0) < 0).all())
    self.assertTrue((np.diff([image_quality.ssim(a, b) for b in levels], axis=0) < 0).all())

  def test_finite_on_blank_images(self):
    blank = jnp.zeros((2, 64, 64, 1))
    chex.assert_tree_all_finite(
        {name: f(blank, blank) for name, f in image_quality.FIGURES.items()})

  def test_too_small_for_the_window(self):
    small = jnp.zeros((1, 10, 64, 1))
    with self.assertRaisesRegex(UserError, '10x64 pixels'):
      jax.jit(image_quality.ssim)(small, small)


if __name__ == '__main__':
  absltest.main()
