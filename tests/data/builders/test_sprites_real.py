"""Tests of Sprites with the published sheets; CVQ_SPRITE_SHEETS names their folder.

A relative path counts from the root of the repository.
"""

import os
import pathlib

import numpy as np
import pytest

from configs import sprites as experiment
from cvq.data import datasets

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(name='real', scope='module')
def fixture_real(tmp_path_factory):
  sheets = os.environ.get('CVQ_SPRITE_SHEETS')
  if not sheets:
    pytest.skip('CVQ_SPRITE_SHEETS names no folder of sprite sheets')
  config = experiment.get_config().dataset
  config.sheets, config.data_dir = str(ROOT / sheets), str(tmp_path_factory.mktemp('data'))
  return datasets.load_dataset(config)


def test_characters_stand_upright_and_face_left_front_and_right(real):
  """Standing; left is nearly the mirror of right, and front is wider than both."""
  factors = np.tile([0, 0, 0, 0, 0, 0, 2, 0, 0], (3, 1))
  factors[:, 7] = range(3)
  left, front, right = real.images.read(real.space.to_index(factors)).any(-1)
  for outline in (left, front, right):
    rows, columns = np.nonzero(outline)
    assert np.ptp(rows) > 40 and 27 < columns.mean() < 36
  overlap = lambda a, b: (a & b).sum() / (a | b).sum()
  assert overlap(left[:, 1:], right[:, :0:-1]) > .85 > overlap(left[:, 1:], front[:, 1:])


def test_share_of_steps_that_change_nothing(real):
  """About 9 % of the steps in eyes, which hair or a turned head hides; hardly any others."""
  space = real.space
  index = np.random.default_rng(0).integers(0, space.num_images, 20_000)
  shares = {}
  for action, name in enumerate(space.names):
    target, valid = space.step(index, action)
    same = (real.images.read(index[valid]) == real.images.read(target[valid])).all((1, 2, 3))
    shares[name] = same.mean()
  assert .08 < shares.pop('eyes') < .10
  assert max(shares.values()) < .01
