"""Encoders and decoders: shapes of every registered choice, and what each may look at."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from configs import common
from cvq.models import ct_vae
from cvq.models.decoder import DECODERS, shifted_neighbours
from cvq.models.encoder import ENCODERS, PatchEncoder, extract_patches


def small_config(name: str):
  config = common.base().model
  config.latent_dim = 6
  config.encoder.update(name=name, width=8, widths=(4, 6), residual_blocks=1, patch=4)
  config.decoder.update(name=name, width=8, inner=4, widths=(6, 4), residual_blocks=1, patch=4)
  return config


class EncoderTest(chex.TestCase, parameterized.TestCase):

  @parameterized.product(name=['patch', 'conv'], channels=[1, 3])
  def test_decoder_undoes_the_shape_of_the_encoder(self, name, channels):
    config = small_config(name)
    images = jax.random.uniform(jax.random.key(0), (2, 16, 24, channels))
    encoder = ENCODERS[name].from_config(config.encoder, config.latent_dim)
    decoder = DECODERS[name].from_config(config.decoder, channels)
    latents, _ = encoder.init_with_output(jax.random.key(1), images)
    outputs, _ = decoder.init_with_output(jax.random.key(2), latents)
    grid = ct_vae.grid_of(config, images.shape[1:])
    chex.assert_shape(latents, (2, *grid, 6))
    self.assertEqual(grid, (4, 6))
    chex.assert_equal_shape([outputs, images])
    chex.assert_tree_all_finite((latents, outputs))

  def test_patches_are_the_pixels_around_them(self):
    images = jax.random.uniform(jax.random.key(0), (2, 8, 12, 3))
    patches = np.asarray(extract_patches(images, 4, 1)).reshape(2, 2, 3, 6, 6, 3)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for row in range(2):
      for col in range(3):
        expected = padded[:, row * 4:row * 4 + 6, col * 4:col * 4 + 6]
        np.testing.assert_array_equal(patches[:, row, col], expected)

  def test_a_patch_code_sees_its_patch_and_margin_only(self):
    encoder = PatchEncoder(latent_dim=4, width=8, patch=4, margin=1)
    image = jax.random.uniform(jax.random.key(0), (1, 12, 12, 1))
    params = encoder.init(jax.random.key(1), image)
    before = encoder.apply(params, image)
    far = encoder.apply(params, image.at[0, 9:, 9:].add(.5))     # beyond the middle's margin
    near = encoder.apply(params, image.at[0, 8, 8].add(.5))      # within it
    chex.assert_trees_all_equal(before[0, 1, 1], far[0, 1, 1])
    self.assertGreater(float(jnp.abs(before[0, 1, 1] - near[0, 1, 1]).max()), 0)

  def test_an_empty_image_has_a_direction(self):
    encoder = PatchEncoder(latent_dim=4, width=8, patch=4, margin=1)
    image = jnp.zeros((1, 12, 12, 1))
    latents = encoder.apply(encoder.init(jax.random.key(1), image), image)
    self.assertGreater(float(jnp.linalg.norm(latents, axis=-1).min()), 1e-2)

  def test_neighbours_stand_in_reading_order(self):
    x = jnp.arange(1., 10.).reshape(1, 3, 3, 1)
    around = shifted_neighbours(x)
    chex.assert_trees_all_equal(around[0, 1, 1], jnp.arange(1., 10.))
    chex.assert_trees_all_equal(around[0, 0, 0], jnp.array([0., 0, 0, 0, 1, 2, 0, 4, 5]))
