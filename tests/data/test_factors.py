"""Tests of cvq.data.factors."""

import itertools

import chex
import numpy as np
import pytest

from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError


def test_index_and_factors_count_the_grid_with_the_last_factor_fastest(space):
  grid = np.asarray(list(itertools.product(*map(range, space.sizes))))
  index = np.arange(space.num_images)
  factors = space.to_factors(index)
  assert factors.dtype == np.int32 and space.to_index(grid).dtype == np.int64
  chex.assert_trees_all_equal(factors, grid.astype(np.int32))
  chex.assert_trees_all_equal(space.to_index(grid), index)


def test_single_factor_space():
  space = FactorSpace((Factor('only', 3),))
  chex.assert_trees_all_equal(space.to_factors(np.arange(3))[:, 0], np.arange(3, dtype=np.int32))
  _, valid = space.step(np.arange(3), np.zeros(3, int))
  chex.assert_trees_all_equal(valid, np.array([True, True, False]))


def test_actions_are_named_in_the_order_of_their_numbers(space):
  assert space.num_actions == 6
  assert space.action_names == ('hue+1', 'kind+1', 'size+1', 'hue-1', 'kind-1', 'size-1')


def test_every_step_moves_one_factor_by_one(space):
  """Brute force over all images and actions; only the cyclic factor wraps."""
  for index, action in itertools.product(range(space.num_images), range(space.num_actions)):
    expected = list(space.to_factors(np.asarray([index]))[0])
    factor, delta = action % 3, 1 if action < 3 else -1
    expected[factor] += delta
    if space.factors[factor].kind == 'cyclic':
      expected[factor] %= space.sizes[factor]
    possible = 0 <= expected[factor] < space.sizes[factor]
    target, valid = space.step(np.asarray([index]), np.asarray([action]))
    assert valid[0] == possible
    assert target[0] == (space.to_index(np.asarray(expected)) if possible else index)


def test_opposite_actions_undo_each_other(space):
  index, action = np.indices((space.num_images, space.num_actions)).reshape(2, -1)
  target, valid = space.step(index, action)
  back, possible = space.step(target[valid], (action[valid] + 3) % 6)
  assert possible.all()
  chex.assert_trees_all_equal(back, index[valid])


def test_a_factor_of_one_value_never_moves():
  space = FactorSpace((Factor('fixed', 1, 'cyclic'), Factor('free', 2)))
  assert not space.step(np.arange(2), np.asarray([0, 2]))[1].any()


@pytest.mark.parametrize('call, message', [
    (lambda s: s.to_factors(np.asarray([0, 120])), 'image index 120 .*0 to 119'),
    (lambda s: s.to_factors(np.asarray([-1])), 'image index -1'),
    (lambda s: s.to_index(np.asarray([[0, 4, 0]])), "factor 'kind' 4 .*0 to 3"),
    (lambda s: s.to_index(np.asarray([[0, 0]])), 'hue, kind, size'),
    (lambda s: s.step(np.asarray([0]), np.asarray([6])), 'action 6 .*0 to 5'),
    (lambda s: s.step(np.asarray([0]), np.asarray([-1])), 'action -1'),
    (lambda s: s.step(np.asarray([.5]), np.asarray([0])), 'whole number'),
    (lambda s: Factor('empty', 0), "'empty' has size 0"),
    (lambda s: Factor('odd', 2, 'round'), "kind 'round'"),
    (lambda s: FactorSpace((Factor('a', 2), Factor('a', 2))), 'distinct names'),
    (lambda s: FactorSpace((Factor('hue.floor', 2),)), "'hue.floor': a name has no dot"),
])
def test_bad_input_names_the_value_and_the_range(space, call, message):
  with pytest.raises(UserError, match=message):
    call(space)
