"""Tests of cvq.survey and cvq.contact_sheets: --mode=data."""

import json
import subprocess
import sys

import chex
from ml_collections import ConfigDict
import numpy as np
from PIL import Image
import pytest

from configs import common
from cvq import contact_sheets, survey
from cvq.data import datasets
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages
from cvq.pictures import CELL, EDGE, GAP

SPACE = FactorSpace((Factor('hue', 4, 'cyclic', ('red', 'lime', 'blue', 'pink')),
                     Factor('eyes', 3, 'unordered'), Factor('size', 5)))


def make_images(population: bool = False) -> ArrayImages:
  """Images of one grey, 4 x their index; steps of eyes are invisible."""
  index = np.arange(SPACE.num_images)
  factors = SPACE.to_factors(index)
  grey = (factors[:, 0] * 60 + factors[:, 2] * 10).astype(np.uint8)
  images = ArrayImages(SPACE, np.broadcast_to(
      grey[:, None, None, None], (index.size, 8, 8, 1)).copy())
  if population:
    images.combination = index[::-1]
  return images


@pytest.fixture(name='config')
def fixture_config() -> ConfigDict:
  config = common.base()
  config.dataset.update(name='toy', source='made', fractions=(.6, .2, .2))
  return config


@pytest.fixture(name='surveyed')
def fixture_surveyed(config, tmp_path, monkeypatch, capsys):
  images = make_images()
  (tmp_path / 'prepared').mkdir()
  (tmp_path / 'prepared' / 'records').write_bytes(bytes(1_500_000))
  images.folder = tmp_path / 'prepared'
  monkeypatch.setattr(datasets, 'load_dataset',
                      lambda c: datasets.Dataset(c.name, images.space, images))
  monkeypatch.setattr(survey, '_SECONDS', .01)
  result = survey.survey(config, str(tmp_path / 'run'))
  return result, tmp_path / 'run' / 'data', capsys.readouterr().out


def test_numbers(surveyed):
  result, folder, text = surveyed
  assert json.loads((folder / 'data.json').read_text()) == result
  assert result['images'] == 60 and result['actions'] == 6 and result['image_shape'] == [8, 8, 1]
  assert sum(s['images'] for s in result['splits'].values()) == 60
  for s in result['splits'].values():
    assert sum(s['transitions_per_action'].values()) == s['transitions']
  same = result['identical_pairs']
  train = result['splits']['train']['transitions_per_action']
  assert same['compared'] == result['splits']['train']['transitions']
  assert same['per_action'] == {name: train[name] * name.startswith('eyes') for name in train}
  assert result['bytes_on_disk'] == 1_500_000
  assert 'toy (made): 60 images of 8x8x1, 3 factors, 6 actions' in text
  assert 'hue      4 values, cyclic' in text and '1.5 MB on disk' in text


def test_pictures_can_be_opened(surveyed):
  for name in ('traversals', 'transitions', 'histograms'):
    with Image.open(surveyed[1] / f'{name}.png') as picture:
      assert min(picture.size) > 200


def test_traversal_shows_each_value_in_its_place():
  images = make_images()
  sheet = contact_sheets.traversals(images)
  left, top, row = EDGE + 210, EDGE + 100, CELL + GAP + 34
  value = lambda f, c: int(sheet[top + f * row + CELL // 2, left + c * (CELL + GAP) + CELL // 2, 0])
  assert np.diff([value(0, c) for c in range(4)]).tolist() == [60] * 3
  assert np.diff([value(1, c) for c in range(3)]).tolist() == [0] * 2
  assert np.diff([value(2, c) for c in range(4)]).tolist() == [10] * 3
  assert value(1, 3) == 255                                      # three values: nothing beyond


@pytest.mark.parametrize('factor', range(3))
def test_examples_of_a_population_have_the_value(factor):
  images = make_images(population=True)
  index, value = contact_sheets._examples(images, factor, 10, 0)
  chex.assert_trees_all_equal(images.factors(index)[:, factor], value.astype(np.int32))
  assert set(value) == set(range(SPACE.sizes[factor])) and len(set(index)) == 10


def test_a_value_with_few_images_shows_them_again_and_one_without_is_left_out():
  images = make_images(population=True)
  few = np.flatnonzero(images.factors(np.arange(images.num_images))[:, 0] == 1)[:2]
  factors = images.factors
  images.factors = lambda index: np.where(np.isin(index, few)[:, None], 1, 0) * np.ones(
      (1, factors(index).shape[1]), int)
  index, value = contact_sheets._examples(images, 0, 12, 0)
  assert set(value) == {0, 1} and set(index[value == 1]) == set(few) and (value == 1).sum() == 3


def test_population_has_a_sheet():
  assert contact_sheets.traversals(make_images(population=True)).ndim == 3


@pytest.mark.slow
def test_command_line_imports_no_jax(tmp_path):
  flags = ['cvq', '--config=configs/dsprites.py', '--mode=data', f'--workdir={tmp_path}/run',
           f'--config.dataset.data_dir={tmp_path}', '--config.dataset.imbalance=shape=10']
  code = (f'import sys; sys.argv = {flags}; from cvq import main; main.main(sys.argv); '
          'assert "jax" not in sys.modules')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert 'dsprites (rendered): 737,280 images of 64x64x1' in done.stdout
  assert (tmp_path / 'run' / 'data' / 'traversals.png').exists()
