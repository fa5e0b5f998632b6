"""Tests of cvq.data.splits."""

import chex
import numpy as np
import pytest

from cvq.data import splits
from cvq.data.images import ArrayImages
from cvq.errors import UserError

FRACTIONS = (.70, .15, .15)


class TestRandom:

  def test_shares_are_those_asked_for(self):
    split = splits.split_of(np.arange(200_000), seed=0, fractions=FRACTIONS)
    assert split.dtype == np.int8
    np.testing.assert_allclose(np.bincount(split) / 200_000, FRACTIONS, atol=.005)

  def test_is_a_function_of_index_and_seed_only(self):
    index = np.arange(1000)
    split = splits.split_of(index, seed=0, fractions=FRACTIONS)
    chex.assert_trees_all_equal(
        split[::-1], splits.split_of(index[::-1], seed=0, fractions=FRACTIONS))
    assert (split != splits.split_of(index, seed=1, fractions=FRACTIONS)).mean() > .3

  @pytest.mark.parametrize('split', splits.SPLITS)
  def test_one_split_may_have_everything(self, split):
    fractions = tuple(float(split == name) for name in splits.SPLITS)
    chosen = splits.split_of(np.arange(100), seed=0, fractions=fractions)
    assert (chosen == splits.split_number(split)).all()

  @pytest.mark.parametrize('fractions', [(.7, .2, .2), (1.2, -.1, -.1), (.5, .5)])
  def test_fractions_that_are_no_partition(self, fractions):
    with pytest.raises(UserError, match='dataset.fractions'):
      splits.split_of(np.arange(3), seed=0, fractions=fractions)

  def test_unknown_split(self):
    with pytest.raises(UserError, match="'testing'.*train, validation, test"):
      splits.split_number('testing')


class TestSplitter:

  def test_random_is_the_hash_of_the_index(self, dataset, dataset_config):
    index = np.arange(120)
    chex.assert_trees_all_equal(
        splits.splitter(dataset.images, dataset_config)(index),
        splits.split_of(index, seed=0, fractions=FRACTIONS))

  def test_compositional_keeps_combinations_from_training(self, dataset, dataset_config):
    dataset_config.update(splits='compositional', held_out='kind=1-2, size=3')
    split = splits.splitter(dataset.images, dataset_config)(np.arange(120))
    factors = dataset.space.to_factors(np.arange(120))
    held_out = np.isin(factors[:, 1], (1, 2)) & (factors[:, 2] == 3)
    chex.assert_trees_all_equal(split == 2, held_out)
    assert set(split[~held_out]) == {0, 1}
    for column, size in enumerate(dataset.space.sizes):          # yet every value is seen
      assert set(factors[split == 0, column]) == set(range(size))

  def test_compositional_divides_the_rest_by_the_fractions(self, dataset, dataset_config):
    dataset_config.update(splits='compositional', held_out='hue=0', fractions=(.8, .0, .2))
    split = splits.splitter(dataset.images, dataset_config)(np.arange(120))
    assert set(split) == {0, 2}
    hue = dataset.space.to_factors(np.arange(120))[:, 0]
    chex.assert_trees_all_equal(split == 2, hue == 0)            # a single factor: none is seen

  def test_published(self, space, dataset_config):
    images = ArrayImages(space, np.zeros((120, 4, 4, 1), np.uint8))
    images.published_split = (np.arange(120) % 3).astype(np.int8)
    dataset_config.splits = 'published'
    index = np.asarray([[4, 9], [3, 11]])
    chex.assert_trees_all_equal(splits.splitter(images, dataset_config)(index), index % 3)

  @pytest.mark.parametrize('fields, message', [
      ({'splits': 'published'}, 'dsprites was published without'),
      ({'splits': 'half'}, "'half'; known: random, compositional, published"),
      ({'splits': 'compositional'}, 'needs the ranges held out'),
      ({'splits': 'compositional', 'held_out': 'colour=1'}, "'colour=1' is not FACTOR=VALUE"),
      ({'splits': 'compositional', 'held_out': 'hue'}, "'hue' is not FACTOR=VALUE"),
      ({'splits': 'compositional', 'held_out': 'hue=1-5'}, 'hue=1-5 is no range.*0 to 4'),
      ({'splits': 'compositional', 'held_out': 'hue=3-1'}, 'hue=3-1 is no range'),
      ({'splits': 'compositional', 'held_out': 'hue=1,hue=2'}, "names 'hue' twice"),
      ({'splits': 'compositional', 'held_out': 'hue=1', 'fractions': (0., 0., 1.)},
       'a share for'),
  ])
  def test_bad_fields(self, dataset, dataset_config, fields, message):
    dataset_config.update(fields)
    with pytest.raises(UserError, match=message):
      splits.splitter(dataset.images, dataset_config)
