"""Tests of cvq.data.composed."""

from concurrent import futures

import chex
import numpy as np
import pytest

from cvq.data.composed import ComposedImages
from cvq.data.factors import Factor, FactorSpace

SPACE = FactorSpace((Factor('first', 3), Factor('second', 3), Factor('size', 2),
                     Factor('turn', 4)))
INDEX = np.arange(SPACE.num_images)
RNG = np.random.default_rng(0)
PALETTE = RNG.integers(0, 256, (3, 3), np.uint8)
SHARES = RNG.integers(0, 86, (8, 6, 5, 2), np.uint8)
SHARES[:, :2, :, 0] = SHARES[:, 3:, :, 1] = 0          # layers that fill some rows only
CONSTANT = RNG.integers(0, 86, (8, 6, 5, 3), np.uint8)


def test_images_are_sums_of_coloured_layers():
  images = ComposedImages(SPACE, PALETTE, SHARES, CONSTANT)
  assert images.image_shape == (6, 5, 3)
  found = images.read(INDEX)
  assert found.dtype == np.uint8
  for image, (first, second, size, turn) in zip(found, SPACE.to_factors(INDEX)):
    geometry = 4 * size + turn
    colours = PALETTE[[first, second]] / 255.
    expected = SHARES[geometry] @ colours + CONSTANT[geometry]
    np.testing.assert_allclose(image, expected, atol=1.01)            # two roundings


def test_any_indices_in_any_order_from_several_threads():
  images = ComposedImages(SPACE, PALETTE, SHARES, CONSTANT)
  every = images.read(INDEX)
  requests = [RNG.integers(0, SPACE.num_images, n) for n in (0, 1, 5, 200) * 20]
  with futures.ThreadPoolExecutor(4) as threads:
    for request, found in zip(requests, threads.map(images.read, requests)):
      chex.assert_trees_all_equal(found, every[request])


def test_images_written_into_an_array():
  images = ComposedImages(SPACE, PALETTE, SHARES, CONSTANT)
  out = np.full((2, SPACE.num_images, *images.image_shape), 7, np.uint8)
  images.read_into(INDEX, out[1])
  chex.assert_trees_all_equal(out[1], images.read(INDEX))
  assert (out[0] == 7).all()


@pytest.mark.parametrize('palette, shares, constant', [
    (PALETTE[:2], SHARES, CONSTANT), (PALETTE, SHARES[:-1], CONSTANT[:-1]),
    (PALETTE, SHARES, CONSTANT[:-1]), (PALETTE, SHARES + np.uint8(80), CONSTANT)])
def test_parts_that_do_not_fit(palette, shares, constant):
  with pytest.raises(ValueError, match='do not fill|more than 255'):
    ComposedImages(SPACE, palette, shares, constant)
