"""Tests of cvq.data.imbalance."""

import chex
import numpy as np
import pytest

from cvq.data import imbalance
from cvq.data.images import ArrayImages
from cvq.errors import UserError

RATIOS = {0: 10., 2: 4.}


def chi_square(counts, probabilities):
  """Standard deviations of chi squared above its mean."""
  expected = probabilities * counts.sum()
  freedom = (probabilities > 0).sum() - 1
  assert not counts[probabilities == 0].any()
  seen = probabilities > 0
  statistic = ((counts - expected)[seen]**2 / expected[seen]).sum()
  return (statistic - freedom) / np.sqrt(2 * freedom)


def population(space, keep):
  """Images of some of the combinations, some of them several times."""
  images = ArrayImages(space, np.zeros((space.num_images, 4, 4, 1), np.uint8))
  images.combination = np.repeat(keep, 1 + np.arange(keep.size) % 3)
  return images


@pytest.mark.parametrize('size, ratio', [(2, 100.), (5, 10.), (40, 3.), (6, 1.), (1, 10.)])
def test_weights_fall_geometrically(size, ratio):
  weights = imbalance.geometric_weights(size, ratio)
  chex.assert_shape(weights, (size,))
  np.testing.assert_allclose(weights.sum(), 1)
  if size > 1:
    np.testing.assert_allclose(weights[0] / weights[-1], ratio)
    np.testing.assert_allclose(weights[1:] / weights[:-1], weights[1] / weights[0])


def test_drawn_histograms_are_those_asked_for(dataset):
  """Every factor's values and every pair of factors: chi squared with a fixed seed."""
  drawn = imbalance.Imbalance(dataset.images, RATIOS).draw(3, np.arange(40_000))
  factors = dataset.space.to_factors(drawn)
  weights = [imbalance.geometric_weights(size, RATIOS.get(f, 1.))
             for f, size in enumerate(dataset.space.sizes)]
  for column, expected in enumerate(weights):
    assert abs(chi_square(np.bincount(factors[:, column], minlength=expected.size), expected)) < 4
  joint = np.einsum('i,j,k->ijk', *weights).reshape(-1)         # independent of one another
  assert abs(chi_square(np.bincount(drawn, minlength=120), joint)) < 4


@pytest.mark.parametrize('action', range(6))
def test_an_action_conditions_its_own_factor_only(dataset, action):
  """Against the weights of all images from which the action is valid, listed."""
  balance = imbalance.Imbalance(dataset.images, RATIOS)
  drawn = balance.draw(4, np.arange(20_000), action=np.full(20_000, action))
  every = np.arange(120)
  valid = dataset.space.step(every, np.full(120, action))[1]
  expected = balance.of(every) * valid
  assert abs(chi_square(np.bincount(drawn, minlength=120), expected / expected.sum())) < 4


def test_population_draws_combinations_then_images(space):
  images = population(space, np.arange(0, 120, 7))
  balance = imbalance.Imbalance(images, RATIOS)
  drawn = balance.draw(5, np.arange(30_000))
  combination, count = np.unique(images.combination, return_counts=True)
  every = imbalance.Imbalance(ArrayImages(space, np.zeros((120, 4, 4, 1), np.uint8)), RATIOS)
  of_combination = every.of(combination) / every.of(combination).sum()
  expected = (of_combination / count)[np.searchsorted(combination, images.combination)]
  assert abs(chi_square(np.bincount(drawn, minlength=images.num_images), expected)) < 4


def test_a_draw_depends_on_its_words_only(dataset):
  balance = imbalance.Imbalance(dataset.images, RATIOS)
  chex.assert_trees_all_equal(
      balance.draw(1, np.arange(50))[20:], balance.draw(1, np.arange(20, 50)))
  assert (balance.draw(1, np.arange(50)) != balance.draw(2, np.arange(50))).any()


def test_parse(space):
  assert imbalance.parse_ratios('', space) == {}
  assert imbalance.parse_ratios('hue=10, size=2.5', space) == {0: 10., 2: 2.5}
  assert imbalance.parse_ratios(' 100 ', space) == {0: 100., 1: 100., 2: 100.}


@pytest.mark.parametrize('text, message', [
    ('colour=3', "'colour=3' is not FACTOR=VALUE with one of the factors hue, kind, size"),
    ('hue=.5', 'hue=.5 is not a ratio of at least 1'), ('hue=nan', 'hue=nan'),
    ('hue=inf', 'hue=inf'), ('many', 'hue=many'), ('hue=2,hue=3', "names 'hue' twice")])
def test_bad_ratios(space, text, message):
  with pytest.raises(UserError, match=f'dataset.imbalance.*{message}'):
    imbalance.parse_ratios(text, space)
