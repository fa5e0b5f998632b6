"""Presets of the datasets are valid and agree with their factors."""

import importlib

import numpy as np
import pytest

from cvq import config as configuration
from cvq.data.builders import cars3d, celeb_a, dsprites, mpi3d, shapes3d, smallnorb, sprites

MODULES = {'cars3d': cars3d, 'celeb_a': celeb_a, 'dsprites': dsprites, 'mpi3d': mpi3d,
           'shapes3d': shapes3d, 'smallnorb': smallnorb, 'sprites': sprites}
GREY = ('dsprites', 'smallnorb')


def config_of(name: str, arg: str = ''):
  return importlib.import_module(f'configs.{name}').get_config(arg)


@pytest.mark.parametrize('name', MODULES)
@pytest.mark.parametrize(
    'arg', ['', 'smoke', 'best', 'paper', 'paper,batch=8', 'smoke,steps=5,seed=3'])
def test_presets_are_valid(name, arg):
  config = config_of(name, arg)
  configuration.validate(config)
  configuration.validate_image_shape(config, (64, 64, 1 if name in GREY else 3))
  configuration.validate_devices(config, 1, 1)
  assert config.name == config.dataset.name == name
  assert config.dataset.source in MODULES[name].SOURCES
  assert config.preset == arg.split(',')[0]


@pytest.mark.parametrize('name', MODULES)
def test_best_is_the_default_for_longer(name):
  config, best = config_of(name), config_of(name, 'best')
  changed = {field: (before, after) for (field, before), (_, after) in zip(
      configuration.leaves(config), configuration.leaves(best), strict=True) if before != after}
  assert changed == {
      'preset': ('', 'best'), 'model.transition.rounds': (1, 2),
      'model.transition.alternatives': (1, 2),
      'train.steps': (config.train.steps, 3 * config.train.steps),
      'train_global.steps': (config.train_global.steps, 2 * config.train_global.steps)}


@pytest.mark.parametrize('name', MODULES)
def test_lengths_of_the_paper_follow_from_images_and_transitions(name):
  """What these are: tests/data/test_every_dataset.py."""
  config = config_of(name, 'paper')
  images, transitions, again = map(int, config.train.mode_weights)
  assert config.dataset.transitions_per_step == 1000 and config.dataset.actions == 'natural'
  assert transitions == again
  assert config.pretrain.steps == 20 * (images // 64)
  assert config.train.steps == 100 * ((images + 2 * transitions) // 16)


def test_attributes_of_the_paper():
  config = config_of('celeb_a')
  assert config.dataset.attributes == celeb_a.ATTRIBUTES[:10]
  config.dataset.attributes = ('Male', 'Smiling')
  np.testing.assert_equal(tuple(config.dataset.attributes), ('Male', 'Smiling'))
