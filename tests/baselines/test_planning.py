"""Plans of the baselines: known answers on a line and on a small grid."""

import itertools

import numpy as np

from cvq.baselines import planning
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.evaluation import planning as judged

SPACE = FactorSpace((Factor('row', 5), Factor('column', 4)))
MOVES = np.array([[1., 0.], [0., 1.], [-1., 0.], [0., -1.]])


def predict(z):
  return np.asarray(z)[:, None] + MOVES


def test_search_finds_the_nearest_end_over_all_sequences():
  rng = np.random.default_rng(0)
  z_x, z_y = rng.normal(size=(2, 6, 2)) * 2
  for steps in (1, 2, 3):
    plans, far = planning.search(predict, z_x, z_y, steps, 4 ** steps)
    for i in range(6):
      ends = [z_x[i] + MOVES[list(actions)].sum(0) for length in range(1, steps + 1)
              for actions in itertools.product(range(4), repeat=length)
              if not any((a + 2) % 4 in actions for a in actions)]
      least = min(np.square(np.asarray(end) - z_y[i]).sum() for end in ends)
      np.testing.assert_allclose(far[i], least)
      np.testing.assert_allclose(np.square(z_x[i] + MOVES[plans[i]].sum(0) - z_y[i]).sum(), least)
      assert 1 <= len(plans[i]) <= steps


def test_orders_of_the_same_actions_do_not_fill_the_beam():
  # (1, 2) and (2, 1) come nearest in two actions; only from (2, 2) can the target be reached.
  moves = np.array([[4., 0.], [5., .9], [3., 3.]])
  predict = lambda z: np.asarray(z)[:, None] + np.concatenate([moves, -moves])
  plans, far = planning.search(predict, np.zeros((1, 2)), np.array([[10., 6.]]), 3, 2)
  assert sorted(plans[0]) == [0, 2, 2] and far == [0.]


def test_nothing_is_done_where_nothing_has_to_be_and_nowhere_else():
  near = np.array([[0., 0.], [.1, 0.]])                # of the second every action leads away
  plans, far = planning.search(predict, np.zeros((2, 2)), near, 3, 4)
  assert plans == [[], [0]]
  np.testing.assert_allclose(far, [0, .81])


def test_a_narrow_beam_is_greedy():
  # The first step towards the target is a detour that only a wide beam avoids.
  trap = lambda z: np.where(z[:, :1, None] > .5, z[:, None] + 0., z[:, None] + np.array(
      [[1., 0.], [0., 2.]]))
  target = np.array([[0., 4.]])
  narrow, _ = planning.search(
      lambda z: trap(np.asarray(z)), np.zeros((1, 2)), np.array([[1.5, 3.9]]), 2, 1)
  wide, far = planning.search(lambda z: trap(np.asarray(z)), np.zeros((1, 2)), target, 2, 4)
  assert wide == [[1, 1]] and far[0] == 0 and len(narrow[0]) <= 2


def grid():
  grey = np.arange(SPACE.num_images, dtype=np.uint8)
  return ArrayImages(SPACE, np.broadcast_to(grey[:, None, None, None], (20, 2, 2, 1)).copy())


def test_a_model_of_pairs_that_is_always_right_arrives_by_the_shortest_way():
  images = grid()

  def choose(x, y, left):
    gap = SPACE.to_factors(y[:, 0, 0, 0].astype(int)) - SPACE.to_factors(x[:, 0, 0, 0].astype(int))
    return np.concatenate([gap, -gap], axis=-1).argmax(-1)
  start, target = np.array([0, 7, 13]), np.array([19, 7, 5])
  plans = planning.shown_the_truth(choose, images, start, target, 8)
  np.testing.assert_array_equal(judged.follow(SPACE, start, plans), target)
  np.testing.assert_array_equal([len(plan) for plan in plans],
                                judged.distance(SPACE, start, target))
  assert [len(plan) for plan in planning.shown_the_truth(choose, images, start, target, 2)] == \
      [2, 0, 2]


def test_an_action_that_would_leave_the_grid_does_nothing():
  down = lambda x, y, left: np.array([2] * len(x))
  plans = planning.shown_the_truth(down, grid(), np.array([4]), np.array([19]), 3)
  assert plans == [[2, 2, 2]]
  np.testing.assert_array_equal(judged.follow(SPACE, np.array([4]), plans), [0])


def test_a_model_may_choose_nothing_and_is_told_what_is_left():
  told = []

  def choose(x, y, left):
    told.append(left)
    return np.array([0, -1])
  plans = planning.shown_the_truth(choose, grid(), np.array([0, 0]), np.array([12, 12]), 4)
  assert plans == [[0, 0, 0], []] and told == [4, 3, 2, 1]
