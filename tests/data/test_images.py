"""Tests of cvq.data.images."""

import concurrent.futures

import chex
import numpy as np
import pytest

from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages, SpriteImages
from cvq.errors import UserError

SPACE = FactorSpace((Factor('shape', 4), Factor('posX', 5), Factor('posY', 3)))


@pytest.fixture(name='sprites')
def fixture_sprites():
  return np.random.default_rng(0).integers(0, 256, (4, 6, 6), np.uint8)


def test_sprites_are_pasted_at_column_and_row(sprites):
  """Against a plain paste; the two outermost positions touch the frame's edges."""
  images = SpriteImages(SPACE, sprites)
  assert images.image_shape == (8, 10, 1)
  index = np.arange(SPACE.num_images)
  expected = np.zeros((len(index), 8, 10, 1), np.uint8)
  for i, (shape, column, row) in enumerate(SPACE.to_factors(index)):
    expected[i, row:row + 6, column:column + 6, 0] = sprites[shape]
  chex.assert_trees_all_equal(images.read(index), expected)
  chex.assert_trees_all_equal(images.read(index[::-7]), expected[::-7])


def test_images_written_into_an_array(sprites):
  images, index = SpriteImages(SPACE, sprites), np.arange(SPACE.num_images)[::-3]
  out = np.full((2, len(index), 8, 10, 1), 7, np.uint8)
  images.read_into(index, out[1])
  chex.assert_trees_all_equal(out[1], images.read(index))
  assert (out[0] == 7).all()


def test_images_belong_to_the_reader(sprites):
  images = SpriteImages(SPACE, sprites)
  first = images.read(np.asarray([3]))
  first[:] = 0
  assert images.read(np.asarray([3])).any()


def test_reads_from_many_threads_agree(sprites):
  images = SpriteImages(SPACE, sprites)
  parts = np.random.default_rng(1).integers(0, SPACE.num_images, (64, 20))
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    chex.assert_trees_all_equal(list(pool.map(images.read, parts)), list(map(images.read, parts)))


@pytest.mark.parametrize('shape', [(3, 6, 6), (4, 6, 5)])
def test_sprites_must_fill_the_space(shape):
  with pytest.raises(ValueError, match='do not fill'):
    SpriteImages(SPACE, np.zeros(shape, np.uint8))


def test_array_images():
  array = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), np.uint8)
  images = ArrayImages(SPACE, array)
  assert images.image_shape == (4, 4, 3)
  chex.assert_trees_all_equal(images.read(np.asarray([5, 5, 0])), array[[5, 5, 0]])
  with pytest.raises(UserError, match=r'\[60, H, W, C\]'):
    ArrayImages(SPACE, array[:59])
  photographs = ArrayImages(SPACE, array[:7], np.asarray([3, 3, 59, 0, 1, 2, 3]))
  assert photographs.num_images == 7
  chex.assert_trees_all_equal(photographs.factors(np.asarray(2)), SPACE.to_factors(np.asarray(59)))
