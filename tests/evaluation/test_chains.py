"""Interventions one after another, against loops over single examples."""

import numpy as np
import pytest

from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.data.neighbours import neighbours
from cvq.evaluation import chains

SPACE = FactorSpace((Factor('a', 3), Factor('b', 4, 'cyclic')))


def _images(*shape, seed=0):
  return np.random.default_rng(seed).random((*shape, 5, 6, 1)).astype(np.float32)


def test_walk_follows_single_steps_and_ends_where_the_factor_does():
  near = neighbours(ArrayImages(SPACE, np.zeros((12, 2, 2, 1), np.uint8)))
  rng = np.random.default_rng(0)
  start, actions = rng.integers(12, size=20), rng.integers(4, size=(20, 6))
  place, valid = chains.walk(near, start, actions)
  for i in range(20):
    here, ok = start[i], True
    for k in range(6):
      target, possible = SPACE.step(np.array([here]), actions[i, k:k + 1])
      here, ok = target[0], ok and possible[0]
      assert (place[i, k], valid[i, k]) == (here, ok)


def test_decay_is_the_mean_over_chains_that_are_left():
  images, truth, x = _images(4, 3), _images(4, 3, seed=1), _images(4, seed=2)
  valid = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
  found = chains.decay(images, truth, x, valid)
  assert found['chains'] == [3, 2, 0] and found['mse'][2] is None and found['copy_mse'][2] is None
  for k in (0, 1):
    rows = [i for i in range(4) if valid[i, k]]
    assert found['mse'][k] == pytest.approx(
        np.mean([((images[i, k] - truth[i, k]) ** 2).mean() for i in rows]), rel=1e-5)
    assert found['copy_mse'][k] == pytest.approx(
        np.mean([((x[i] - truth[i, k]) ** 2).mean() for i in rows]), rel=1e-5)


def test_inverse_of_exact_and_of_random_actions():
  x, images = _images(6), _images(6, 2, seed=1)
  codes = np.random.default_rng(0).integers(4, size=(6, 2, 10))
  exact = codes.copy()
  exact[:, 1] = codes[:, 0] ^ 1                       # stands for x: undone, all differ halfway
  found = chains.inverse(exact[:, 1], exact, x, np.stack([images[:, 0], x], axis=1))
  assert (found['equal'], found['equal_before'], found['mse']) == (1, 0, 0)
  x_codes = np.random.default_rng(1).integers(4, size=(6, 10))
  found = chains.inverse(x_codes, codes, x, images)
  pairs = [(i, v) for i in range(6) for v in range(10)]
  for key, k in (('equal_before', 0), ('equal', 1)):
    assert found[key] == pytest.approx(np.mean([codes[i, k, v] == x_codes[i, v] for i, v in pairs]))
  assert found['mse'] == pytest.approx(
      np.mean([((images[i, 1] - x[i]) ** 2).mean() for i in range(6)]), rel=1e-5)


def test_commutation_of_actions_that_do_and_do_not_commute():
  # Variables 0..3 as numbers: a adds 1 to all, b doubles; modulo 7 they don't commute, a and a do.
  x = np.random.default_rng(0).integers(7, size=(5, 4))
  add, double = lambda z: (z + 1) % 7, lambda z: 2 * z % 7
  run = lambda *steps: np.stack([steps[0](x), steps[1](steps[0](x))], axis=1)
  image = _images(5, 2)
  different = chains.commutation(run(add, double), run(double, add), image, image)
  assert different['equal'] == 0 and different['mse'] == 0
  assert different['equal_halfway'] == pytest.approx((add(x) == double(x)).mean())
  assert chains.commutation(run(add, add), run(add, add), image, 0 * image)['equal'] == 1
