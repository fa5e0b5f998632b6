"""Tests of cvq.data.transitions and cvq.data.hashing."""

import itertools

import chex
import numpy as np
import pytest

from cvq.data import hashing, transitions
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError

FRACTIONS = (.70, .15, .15)
SPLIT = {'split_seed': 0, 'fractions': FRACTIONS}


def all_transitions(space, split):
  """Brute force: every (source, target, action) of a split."""
  member = transitions.split_of(np.arange(space.num_images), seed=0, fractions=FRACTIONS)
  found = set()
  for x, a in itertools.product(range(space.num_images), range(space.num_actions)):
    y, valid = space.step(np.asarray([x]), np.asarray([a]))
    if valid[0] and member[x] == member[y[0]] == transitions.SPLITS.index(split):
      found.add((x, int(y[0]), a))
  return found


def draw(space, numbers, split='train', seed=0, targets=1):
  return transitions.draw_transitions(
      space, numbers, seed=seed, split=split, targets=targets, **SPLIT)


class TestHash:

  def test_matches_the_published_splitmix64_stream(self):
    """First outputs of SplitMix64 from state 0 and 1234567 (Vigna's reference program)."""
    assert int(hashing.hash64(0)) == 0xE220A8397B1DCDAF
    assert int(hashing.hash64(1234567)) == 6457827717110365317

  def test_is_elementwise_and_broadcasts(self):
    rows, columns = np.arange(3)[:, None], np.arange(4)
    both = hashing.hash64(7, rows, columns)
    chex.assert_shape(both, (3, 4))
    for i, j in np.ndindex(3, 4):
      assert both[i, j] == hashing.hash64(7, i, j)
    assert len(np.unique(both)) == 12

  def test_order_and_sign_of_words_matter(self):
    assert hashing.hash64(1, 2) != hashing.hash64(2, 1)
    assert hashing.hash64(-1) == hashing.hash64(2**64 - 1) != hashing.hash64(1)

  def test_numbers_below_a_limit_are_even(self):
    counts = np.bincount(hashing.below(hashing.hash64(0, np.arange(70_000)), 7), minlength=7)
    assert counts.size == 7 and abs(counts - 10_000).max() < 500       # 5 standard deviations

  def test_unit_interval(self):
    u = hashing.unit(hashing.hash64(0, np.arange(10_000)))
    assert 0 <= u.min() and u.max() < 1 and abs(u.mean() - .5) < .015


class TestSplits:

  def test_shares_are_those_asked_for(self):
    split = transitions.split_of(np.arange(200_000), seed=0, fractions=FRACTIONS)
    assert split.dtype == np.int8
    np.testing.assert_allclose(np.bincount(split) / 200_000, FRACTIONS, atol=.005)

  def test_is_a_function_of_index_and_seed_only(self):
    index = np.arange(1000)
    split = transitions.split_of(index, seed=0, fractions=FRACTIONS)
    chex.assert_trees_all_equal(
        split[::-1], transitions.split_of(index[::-1], seed=0, fractions=FRACTIONS))
    assert (split != transitions.split_of(index, seed=1, fractions=FRACTIONS)).mean() > .3

  @pytest.mark.parametrize('split', transitions.SPLITS)
  def test_one_split_may_have_everything(self, split):
    fractions = tuple(float(split == name) for name in transitions.SPLITS)
    chosen = transitions.split_of(np.arange(100), seed=0, fractions=fractions)
    assert (chosen == transitions.split_number(split)).all()

  @pytest.mark.parametrize('fractions', [(.7, .2, .2), (1.2, -.1, -.1), (.5, .5)])
  def test_fractions_that_are_no_partition(self, fractions):
    with pytest.raises(UserError, match='dataset.fractions'):
      transitions.split_of(np.arange(3), seed=0, fractions=fractions)

  def test_unknown_split(self):
    with pytest.raises(UserError, match="'testing'.*train, validation, test"):
      transitions.split_number('testing')


class TestDraw:

  @pytest.mark.parametrize('split', transitions.SPLITS)
  @pytest.mark.parametrize('targets', [1, 3])
  def test_draws_transitions_of_the_split(self, space, split, targets):
    source, target, action = draw(space, np.arange(500), split, targets=targets)
    chex.assert_shape(source, (500,))
    chex.assert_shape((target, action), (500, targets))
    assert (source.dtype, target.dtype, action.dtype) == (np.int64, np.int64, np.int32)
    expected = all_transitions(space, split)
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
      pool = sorted(x for x, _, b in all_transitions(space, split) if b == a)
      counts = np.bincount(source[action[:, 0] == a], minlength=space.num_images)[pool]
      expected = counts.sum() / len(pool)
      freedom = len(pool) - 1
      assert (counts > 0).all()
      assert (((counts - expected)**2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom) + 1

  def test_further_targets_are_distinct_as_far_as_the_source_has_them(self, space):
    expected = all_transitions(space, 'train')
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
      member = transitions.split_of(np.arange(50_000), seed=seed, fractions=fractions) == 2
      if (member[1:] & member[:-1]).any():
        break
    left = int(np.flatnonzero(member[1:] & member[:-1])[0])
    source, target, action = transitions.draw_transitions(
        space, np.arange(6), seed=0, split='test', split_seed=seed, fractions=fractions)
    chex.assert_trees_all_equal(source, np.where(action[:, 0] == 0, left, left + 1))
    chex.assert_trees_all_equal(target[:, 0], np.where(action[:, 0] == 0, left + 1, left))

  def test_no_transition_names_action_and_split(self, space):
    with pytest.raises(UserError, match="'.*' lies inside the test split"):
      transitions.draw_transitions(space, np.arange(9), seed=0, split='test', split_seed=0,
                                   fractions=(.5, .5, .0))

  def test_targets_must_be_positive(self, space):
    with pytest.raises(UserError, match='targets is 0'):
      draw(space, np.arange(2), targets=0)


class TestChoose:

  @pytest.mark.parametrize('split', transitions.SPLITS)
  @pytest.mark.parametrize('examples', [0, 10_000])
  def test_whole_split_is_every_transition_once(self, space, split, examples):
    chosen = transitions.choose_transitions(space, examples=examples, seed=0, split=split, **SPLIT)
    rows = list(zip(*(part.tolist() for part in chosen)))
    assert set(rows) == all_transitions(space, split) and len(rows) == len(set(rows))

  def test_share_is_distinct_levelled_and_seeded(self, space):
    choose = lambda seed: transitions.choose_transitions(
        space, examples=100, seed=seed, split='train', **SPLIT)
    source, target, action = choose(0)
    chex.assert_shape((source, target, action), (100,))
    rows = set(zip(source.tolist(), target.tolist(), action.tolist()))
    assert len(rows) == 100 and rows <= all_transitions(space, 'train')
    assert set(np.bincount(action)) == {16, 17}
    assert (action != np.sort(action)).any()           # mixed, so that any batch sees all actions
    chex.assert_trees_all_equal((source, target, action), choose(0))
    assert rows != set(zip(*(part.tolist() for part in choose(1))))

  def test_actions_with_few_transitions_give_all_they_have(self):
    space = FactorSpace((Factor('few', 2), Factor('many', 40)))
    everything = {'split_seed': 0, 'fractions': (1., 0., 0.)}
    _, _, action = transitions.choose_transitions(
        space, examples=200, seed=0, split='train', **everything)
    chex.assert_trees_all_equal(np.bincount(action), np.asarray([40, 60, 40, 60]))

  def test_count_agrees_with_brute_force(self, space):
    for split in transitions.SPLITS:
      actions = [a for _, _, a in all_transitions(space, split)]
      chex.assert_trees_all_equal(
          transitions.count_transitions(space, split=split, **SPLIT),
          np.bincount(actions, minlength=6))

  def test_bad_numbers(self, space):
    with pytest.raises(UserError, match='examples is -1'):
      transitions.choose_transitions(space, examples=-1, seed=0, split='test', **SPLIT)
    with pytest.raises(UserError, match='test split .*holds no transition'):
      transitions.choose_transitions(space, examples=5, seed=0, split='test', split_seed=0,
                                     fractions=(1., 0., 0.))
