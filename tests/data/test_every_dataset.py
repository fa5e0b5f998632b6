"""What holds for each of the datasets, by its own factors and config; no image is read."""

import functools
import importlib

from ml_collections import ConfigDict
import numpy as np
import pytest
import requests

from cvq.data import datasets, pipeline, splits
from cvq.data.builders import celeb_a
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import Images
from cvq.data.listed import ListedTransitions
from cvq.errors import UserError

RENDERED = {('dsprites', 'rendered'), ('shapes3d', 'rendered')}        # need no file
SIZES = {'cars3d': 17_568, 'celeb_a': 202_599, 'dsprites': 737_280, 'mpi3d': 1_036_800,
         'shapes3d': 480_000, 'smallnorb': 48_600, 'sprites': 4_630_500}
_HELD_OUT = [0, -1]                                    # factors of the compositional split


class Unread(Images):
  """The factors of a dataset without its pixels."""

  def __init__(self, space: FactorSpace):
    self.space, self.image_shape = space, (64, 64, 1)

  def read(self, index):
    raise NotImplementedError


def config_of(name: str) -> ConfigDict:
  return experiment_of(name).dataset


def experiment_of(name: str, preset: str = '') -> ConfigDict:
  return importlib.import_module(f'configs.{name}').get_config(preset)


def builder_of(name: str):
  return importlib.import_module(f'cvq.data.builders.{name}')


@functools.cache
def images_of(name: str) -> Images:
  if name != 'celeb_a':
    return Unread(builder_of(name).SPACE)
  rng = np.random.default_rng(0)
  images = Unread(FactorSpace([Factor(attribute, 2) for attribute in config_of(name).attributes]))
  attributes = rng.random((celeb_a.NUM_IMAGES, 10)) < np.linspace(.05, .5, 10)
  images.combination = images.space.to_index(attributes.astype(int))
  images.published_split = np.repeat(np.int8([0, 1, 2]), [162_770, 19_867, 19_962])
  return images


def test_all_of_them_are_here():
  assert {name: images_of(name).num_images for name in datasets.names()} == SIZES


@pytest.mark.parametrize('split', splits.SPLITS)
@pytest.mark.parametrize('kind', ['as configured', 'compositional'])
@pytest.mark.parametrize('name', SIZES)
def test_both_ends_lie_in_the_split_and_differ_by_the_action(name, kind, split):
  images, config = images_of(name), config_of(name)
  space = images.space
  last = [(space.sizes[f] - 1) // 2 for f in _HELD_OUT]          # their lower halves
  if kind == 'compositional':
    config.splits = kind
    config.held_out = ','.join(f'{space.names[f]}=0-{v}' for f, v in zip(_HELD_OUT, last))
  pairs = pipeline.open_transitions(images, config, split)
  # Of two values one is held out: there is no step between the two to be drawn for testing.
  still = [space.names[f] for f in _HELD_OUT
           if space.sizes[f] == 2 and kind == 'compositional' and split == 'test']
  source, target, action = (pairs.choose(examples=2000, seed=3) if still else
                            pairs.draw(np.arange(2000), seed=3, targets=3))
  target, action = target.reshape(2000, -1), action.reshape(2000, -1)
  of_image = splits.splitter(images, config)
  number = splits.SPLITS.index(split)
  assert (of_image(source) == number).all() and (of_image(target) == number).all()
  # By hand: the factors of y are those of x but for one, which has gone one step.
  y = images.factors(target)
  x = np.broadcast_to(images.factors(source)[:, None], y.shape)
  factor, step = action % space.num_factors, np.where(action < space.num_factors, 1, -1)
  expected = x + step[..., None] * (factor[..., None] == np.arange(space.num_factors))
  for f, one in enumerate(space.factors):
    if one.kind == 'cyclic':
      expected[..., f] %= one.size
  np.testing.assert_array_equal(y, expected)
  moved = {space.action_names[a][:-2] for a in np.unique(action)}
  assert moved == set(space.names) - set(still)
  if kind == 'compositional':                          # what is held out is tested, nothing else
    assert ((y[..., _HELD_OUT] <= last).all(-1) == (split == 'test')).all()


@pytest.mark.parametrize('name', sorted(set(SIZES) - {'sprites'}))   # slow to list
def test_the_list_of_the_paper_is_of_training_and_as_long_as_its_config_says(name):
  images, config = images_of(name), experiment_of(name, 'paper')
  pairs = pipeline.open_transitions(images, config.dataset, 'train')
  assert isinstance(pairs, ListedTransitions)
  training = splits.splitter(images, config.dataset)(np.arange(images.num_images)) == 0
  share = round(1000 * training.mean())
  for action in range(images.space.num_actions):
    source, target = pairs.pool(action)
    assert training[source].all() and training[target].all()
    most = np.bincount(images.factors(source)[:, action % images.space.num_factors]).max()
    assert most == share or name == 'cars3d' and most < share    # of most steps it has fewer pairs
  listed = pairs.counts.sum()
  assert config.train.mode_weights[1:] == (listed, listed)
  np.testing.assert_allclose(config.train.mode_weights[0], training.sum(), rtol=3e-3)


def test_the_list_of_sprites_is_full():
  """Each step has its 700 pairs and far more in training; both ways."""
  config, sizes = experiment_of('sprites', 'paper'), images_of('sprites').space.sizes
  listed = 2 * 700 * sum(size - 1 for size in sizes)
  assert config.train.mode_weights == (round(.7 * SIZES['sprites']), listed, listed)


@pytest.mark.parametrize('name, source', [
    (name, source) for name in SIZES for source in builder_of(name).SOURCES
    if (name, source) not in RENDERED])
def test_missing_files_end_in_a_remedy(name, source, tmp_path, monkeypatch):
  def offline(*_, **__):
    raise requests.ConnectionError('no network in this test')
  monkeypatch.setattr(requests, 'head', offline)
  config = config_of(name)
  config.update(source=source, data_dir=str(tmp_path / 'data'))
  with pytest.raises(UserError) as error:
    datasets.load_dataset(config)
  message = str(error.value)
  assert str(tmp_path / 'data') in message
  assert 'https://' in message or 'http://' in message or 'github.com/' in message
  assert '=FOLDER' in message
  assert 'repeat the command' in message or 'python -m cvq.main --config=configs/' in message
  assert not (tmp_path / 'data').exists()
