"""Tests of cvq.data.transitions and cvq.data.listed."""

import itertools

import chex
import numpy as np
import pytest

from cvq.data import pipeline, splits
from cvq.data.factors import Factor, FactorSpace
from cvq.data.hashing import below, hash64
from cvq.data.images import ArrayImages
from cvq.data.imbalance import geometric_weights
from cvq.errors import UserError
from configs import common

FRACTIONS = (.70, .15, .15)


def images_of(space):
  return ArrayImages(space, np.zeros((space.num_images, 4, 4, 1), np.uint8))


def population_of(space, size=400):
  """Images with random combinations: some combinations never occur, some several times."""
  images = images_of(space)
  images.combination = below(hash64(11, np.arange(size)), space.num_images)
  return images


def opened(images, split='train', *, imbalanced=True, **fields):
  config = common.base().dataset
  config.update(fields)
  return pipeline.open_transitions(images, config, split, imbalanced=imbalanced)


def all_transitions(images, split, fractions=FRACTIONS):
  """Brute force: every (source, target, action) of a split."""
  space, index = images.space, np.arange(images.num_images)
  inside = splits.split_of(index, seed=0, fractions=fractions) == splits.SPLITS.index(split)
  combination = index if images.combination is None else images.combination
  followers = {}
  for y in index[inside]:
    followers.setdefault(int(combination[y]), []).append(int(y))
  found = set()
  for x, a in itertools.product(index[inside], range(space.num_actions)):
    end, valid = space.step(combination[[x]], np.asarray([a]))
    if valid[0]:
      found |= {(int(x), y, a) for y in followers.get(int(end[0]), ())}
  return found


def draw(space, numbers, split='train', seed=0, targets=1, **fields):
  return opened(images_of(space), split, **fields).draw(numbers, seed=seed, targets=targets)


def rows_of(part):
  source, target, action = part
  return list(zip(source.tolist(), np.ravel(target).tolist(), np.ravel(action).tolist()))


class TestDraw:

  @pytest.mark.parametrize('split', splits.SPLITS)
  @pytest.mark.parametrize('targets', [1, 3])
  def test_draws_transitions_of_the_split(self, space, split, targets):
    source, target, action = draw(space, np.arange(500), split, targets=targets)
    chex.assert_shape(source, (500,))
    chex.assert_shape((target, action), (500, targets))
    assert (source.dtype, target.dtype, action.dtype) == (np.int64, np.int64, np.int32)
    expected = all_transitions(images_of(space), split)
    for x, ys, actions in zip(source, target, action):
      assert all((x, y, a) in expected for y, a in zip(ys, actions))

  def test_an_example_depends_on_its_number_only(self, space):
    whole = draw(space, np.arange(64), targets=3)
    order = np.random.default_rng(0).permutation(64)
    chex.assert_trees_all_equal(
        [part[order] for part in whole], list(draw(space, order, targets=3)))
    for number in (0, 17, 63):
      chex.assert_trees_all_equal(
          [part[number:number + 1] for part in whole],
          list(draw(space, np.asarray([number]), targets=3)))

  def test_the_first_target_does_not_depend_on_how_many_follow(self, space):
    one, three = draw(space, np.arange(64)), draw(space, np.arange(64), targets=3)
    chex.assert_trees_all_equal(one[0], three[0])
    chex.assert_trees_all_equal(one[1][:, 0], three[1][:, 0])

  def test_seeds_and_far_numbers_give_other_examples(self, space):
    base = draw(space, np.arange(200))[0]
    assert (base != draw(space, np.arange(200), seed=1)[0]).mean() > .9
    assert (base != draw(space, 2**40 + np.arange(200))[0]).mean() > .9

  @pytest.mark.parametrize('split', ['train', 'validation'])
  def test_actions_are_levelled_and_sources_even(self, space, split):
    """Action uniform over A; given the action, x uniform over its valid sources (chi squared)."""
    source, _, action = draw(space, np.arange(60_000), split)
    np.testing.assert_allclose(np.bincount(action[:, 0]) / 60_000, 1 / 6, atol=.008)
    for a in range(space.num_actions):
      pool = sorted(x for x, _, b in all_transitions(images_of(space), split) if b == a)
      counts = np.bincount(source[action[:, 0] == a], minlength=space.num_images)[pool]
      expected = counts.sum() / len(pool)
      freedom = len(pool) - 1
      assert (counts > 0).all()
      assert (((counts - expected)**2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom) + 1

  def test_further_targets_are_distinct_as_far_as_the_source_has_them(self, space):
    expected = all_transitions(images_of(space), 'train')
    source, _, action = draw(space, np.arange(400), targets=4)
    short = 0
    for x, actions in zip(source, action):
      available = sum(x == other for other, _, _ in expected)
      assert len(set(actions.tolist())) == min(4, available)
      short += available < 4
    assert 0 < short < 400                             # both cases were met

  def test_further_targets_are_in_random_order(self, space):
    _, _, action = draw(space, np.arange(5000), targets=2)
    assert (np.bincount(action[:, 1], minlength=6) > 400).all()

  def test_small_split_is_drawn_by_listing(self):
    """One valid source in 50,000: candidates at random would not find it."""
    space = FactorSpace((Factor('a', 50_000),))
    fractions = (1 - 4e-4, 2e-4, 2e-4)
    for seed in range(500):
      member = splits.split_of(np.arange(50_000), seed=seed, fractions=fractions) == 2
      if (member[1:] & member[:-1]).any():
        break
    left = int(np.flatnonzero(member[1:] & member[:-1])[0])
    source, target, action = draw(
        space, np.arange(6), 'test', split_seed=seed, fractions=fractions)
    chex.assert_trees_all_equal(source, np.where(action[:, 0] == 0, left, left + 1))
    chex.assert_trees_all_equal(target[:, 0], np.where(action[:, 0] == 0, left + 1, left))

  def test_no_transition_names_action_and_split(self, space):
    with pytest.raises(UserError, match="'.*' lies inside the test split"):
      draw(space, np.arange(9), 'test', fractions=(.5, .5, .0))

  def test_targets_must_be_positive(self, space):
    with pytest.raises(UserError, match='targets is 0'):
      draw(space, np.arange(2), targets=0)


class TestChoose:

  @pytest.mark.parametrize('split', splits.SPLITS)
  @pytest.mark.parametrize('examples', [0, 10_000])
  def test_whole_split_is_every_transition_once(self, space, split, examples):
    rows = rows_of(opened(images_of(space), split).choose(examples=examples, seed=0))
    assert set(rows) == all_transitions(images_of(space), split) and len(rows) == len(set(rows))

  def test_share_is_distinct_levelled_and_seeded(self, space):
    choose = lambda seed: opened(images_of(space)).choose(examples=100, seed=seed)
    source, target, action = choose(0)
    chex.assert_shape((source, target, action), (100,))
    rows = set(zip(source.tolist(), target.tolist(), action.tolist()))
    assert len(rows) == 100 and rows <= all_transitions(images_of(space), 'train')
    assert set(np.bincount(action)) == {16, 17}
    assert (action != np.sort(action)).any()           # mixed, so that any batch sees all actions
    chex.assert_trees_all_equal((source, target, action), choose(0))
    assert rows != set(zip(*(part.tolist() for part in choose(1))))

  def test_actions_with_few_transitions_give_all_they_have(self):
    space = FactorSpace((Factor('few', 2), Factor('many', 40)))
    _, _, action = opened(images_of(space), fractions=(1., 0., 0.)).choose(examples=200, seed=0)
    chex.assert_trees_all_equal(np.bincount(action), np.asarray([40, 60, 40, 60]))

  def test_count_agrees_with_brute_force(self, space):
    for split in splits.SPLITS:
      actions = [a for _, _, a in all_transitions(images_of(space), split)]
      chex.assert_trees_all_equal(
          opened(images_of(space), split).counts,
          np.bincount(actions, minlength=6))

  def test_bad_numbers(self, space):
    with pytest.raises(UserError, match='examples is -1'):
      opened(images_of(space), 'test').choose(examples=-1, seed=0)
    with pytest.raises(UserError, match='test split holds no transition'):
      opened(images_of(space), 'test', fractions=(1., 0., 0.)).choose(examples=5, seed=0)


class TestProportions:

  def test_natural_actions_follow_their_numbers(self, space):
    pairs = opened(images_of(space), actions='natural')
    _, _, action = pairs.draw(np.arange(40_000), seed=0)
    np.testing.assert_allclose(np.bincount(action[:, 0]) / 40_000,
                               pairs.counts / pairs.counts.sum(), atol=.01)
    assert np.ptp(pairs.counts / pairs.counts.sum()) > .04       # or levelled ones would pass

  @pytest.mark.parametrize('actions', ['levelled', 'natural'])
  @pytest.mark.parametrize('make', [images_of, population_of])
  def test_imbalanced_sources(self, space, make, actions):
    """Weight of x times validity of the action, from a list of all transitions; images of the same
    combination share its weight."""
    images = make(space)
    pairs = opened(images, imbalance='hue=10,size=4', actions=actions)
    source, target, action = pairs.draw(np.arange(60_000), seed=0)
    expected = np.zeros((6, images.num_images))
    weights = [geometric_weights(5, 10), geometric_weights(4, 1), geometric_weights(6, 4)]
    alike = np.ones(120) if images.combination is None else np.bincount(images.combination)
    for x, _, a in all_transitions(images, 'train'):
      values = images.factors([x])[0]
      expected[a, x] = np.prod([w[v] for w, v in zip(weights, values)]) / alike[
          space.to_index(values)]
    if actions == 'levelled':
      expected /= 6 * expected.sum(1, keepdims=True)
    expected *= 60_000 / expected.sum()
    counts = np.zeros(expected.shape)
    np.add.at(counts, (action[:, 0], source), 1)
    assert not counts[expected == 0].any()
    seen = expected > 0
    chi, freedom = ((counts - expected)[seen]**2 / expected[seen]).sum(), seen.sum() - 1
    assert abs(chi - freedom) < 4 * np.sqrt(2 * freedom)

  def test_evaluation_may_leave_the_imbalance_out(self, space):
    plain = draw(space, np.arange(100))
    chex.assert_trees_all_equal(plain, opened(
        images_of(space), imbalanced=False, imbalance='10', actions='natural').draw(
            np.arange(100), seed=0))
    assert (plain[0] != draw(space, np.arange(100), imbalance='10')[0]).any()

  def test_steep_weights_end_in_a_list(self):
    """x = 1 alone has the action back, at one in a million: candidates would not find it."""
    space = FactorSpace((Factor('a', 2), Factor('b', 3)))
    source, _, action = draw(space, np.arange(200), fractions=(1., 0., 0.), actions='natural',
                             imbalance='a=1000000000000')
    assert set(space.to_factors(source)[:, 0]) == {0} and set(action[:, 0]) <= {0, 1, 3}

  def test_the_list_shares_weights_among_images_of_a_combination_too(self):
    space = FactorSpace((Factor('a', 2), Factor('b', 2)))
    images = images_of(space)
    images.combination = np.repeat(np.arange(4), [1, 1, 2, 18])        # a = 1: 2 with b = 0, 18
    source, _, action = opened(
        images, fractions=(1., 0., 0.), imbalance='a=1000000000000').draw(np.arange(8000), seed=0)
    b = images.factors(source[action[:, 0] == 2])[:, 1]
    np.testing.assert_allclose(b.mean(), .5, atol=.04)


class TestHeldOut:

  @pytest.mark.parametrize('split', splits.SPLITS)
  def test_no_transition_crosses_the_border(self, space, split):
    fields = dict(splits='compositional', held_out='hue=0-1,size=2-4')
    pairs = opened(images_of(space), split, **fields)
    source, target, action = pairs.choose(examples=0, seed=0)
    held_out = lambda index: (space.to_factors(index)[:, 0] <= 1) & np.isin(
        space.to_factors(index)[:, 2], (2, 3, 4))
    assert (held_out(source) == (split == 'test')).all()
    assert (held_out(target) == (split == 'test')).all()
    assert set(action) == set(range(6))
    drawn = pairs.draw(np.arange(300), seed=0, targets=3)
    assert (held_out(drawn[0]) == (split == 'test')).all()
    assert (held_out(drawn[1].reshape(-1)) == (split == 'test')).all()


class TestPopulation:

  @pytest.mark.parametrize('split', splits.SPLITS)
  @pytest.mark.parametrize('targets', [1, 3])
  def test_draws_transitions_of_the_split(self, space, split, targets):
    images = population_of(space)
    expected = all_transitions(images, split)
    source, target, action = opened(images, split).draw(
        np.arange(600), seed=0, targets=targets)
    for x, ys, actions in zip(source, target, action):
      assert all((x, y, a) in expected for y, a in zip(ys, actions))

  def test_every_follower_is_drawn(self, space):
    images = population_of(space, size=100)
    drawn = set(rows_of(opened(images, fractions=(1., 0., 0.)).draw(np.arange(60_000), seed=0)))
    assert drawn == all_transitions(images, 'train', fractions=(1., 0., 0.))

  def test_an_example_depends_on_its_number_only(self, space):
    pairs = opened(population_of(space))
    whole = pairs.draw(np.arange(64), seed=0, targets=2)
    chex.assert_trees_all_equal([part[40:] for part in whole],
                                list(pairs.draw(np.arange(40, 64), seed=0, targets=2)))

  def test_whole_split_has_every_source_once_for_each_action(self, space):
    images = population_of(space)
    expected = all_transitions(images, 'test')
    rows = rows_of(opened(images, 'test').choose(examples=0, seed=0))
    assert set(rows) <= expected
    assert sorted((x, a) for x, _, a in rows) == sorted({(x, a) for x, _, a in expected})


class TestListed:

  @pytest.mark.parametrize('make', [images_of, population_of])
  def test_up_to_n_for_each_step_both_ways(self, space, make):
    images = make(space)
    every = all_transitions(images, 'train')
    share = (splits.split_of(np.arange(images.num_images), seed=0, fractions=FRACTIONS) == 0).mean()
    quota = round(10 * share)
    rows = rows_of(opened(images, transitions_per_step=10).choose(examples=0, seed=0))
    assert len(rows) == len(set(rows)) and set(rows) <= every
    assert {(y, x, (a + 3) % 6) for x, y, a in rows} == set(rows)
    for factor, size in enumerate(space.sizes):
      for value in range(size):
        steps = lambda found: {
            x for x, _, a in found if a == factor and images.factors([x])[0, factor] == value}
        assert len(steps(rows)) == min(quota, len(steps(every)))

  @pytest.mark.parametrize('split', ['validation', 'test'])
  def test_evaluation_has_every_transition_of_its_images(self, space, split):
    images = images_of(space)
    pairs = opened(images, split, transitions_per_step=10)
    assert set(rows_of(pairs.choose(examples=0, seed=0))) == all_transitions(images, split)

  @pytest.mark.parametrize('actions', ['levelled', 'natural'])
  @pytest.mark.parametrize('make', [images_of, population_of])
  def test_draws_from_the_list_alone(self, space, make, actions):
    pairs = opened(make(space), transitions_per_step=8, actions=actions)
    rows = set(rows_of(pairs.choose(examples=0, seed=0)))
    source, target, action = pairs.draw(np.arange(20_000), seed=0, targets=3)
    several = 0
    for x, ys, acts in zip(source, target, action):
      assert all((x, y, a) in rows for y, a in zip(ys, acts))
      available = len({a for other, _, a in rows if other == x}) if several < 50 else 0
      if available:
        assert len(set(acts.tolist())) == min(3, available)
        several += available > 1
    assert several
    assert {(x, y, a) for x, ys, acts in zip(source, target, action)
            for y, a in zip(ys[:1], acts[:1])} == rows
    expected = np.full(6, 1 / 6) if actions == 'levelled' else pairs.counts / pairs.counts.sum()
    np.testing.assert_allclose(np.bincount(action[:, 0]) / 20_000, expected, atol=.015)

  @pytest.mark.parametrize('make', [images_of, population_of])
  def test_imbalance_weighs_the_list(self, space, make):
    images = make(space)
    pairs = opened(images, transitions_per_step=20, imbalance='hue=50')
    source, _, action = pairs.draw(np.arange(30_000), seed=0)
    listed, _, acts = pairs.choose(examples=0, seed=0)
    alike = np.ones(120) if images.combination is None else np.bincount(images.combination)
    for a in (1, 4):
      x = listed[acts == a]
      hue = images.factors(x)[:, 0]
      weights = geometric_weights(5, 50)[hue] / alike[space.to_index(images.factors(x))]
      expected = np.bincount(hue, weights=weights, minlength=5)
      drawn = images.factors(source[action[:, 0] == a])[:, 0]
      np.testing.assert_allclose(np.bincount(drawn, minlength=5) / drawn.size,
                                 expected / expected.sum(), atol=.02)
