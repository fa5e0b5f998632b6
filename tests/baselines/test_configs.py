"""Configs of the baselines: every dataset, both presets, bad input told."""

import importlib
import re

import pytest

from configs.baselines import common
from configs import dsprites
from cvq import config as configuration
from cvq.errors import UserError

NAMES = ('inverse', 'beta_vae', 'ada_gvae', 'qlae', 'paper')


def config_of(name, arg=''):
  return importlib.import_module(f'configs.baselines.{name}').get_config(arg)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('dataset', common.DATASETS)
def test_every_dataset_and_preset_is_valid(name, dataset):
  for arg, preset in ((dataset, ''), (f'{dataset},smoke', 'smoke')):
    config = config_of(name, arg)
    configuration.validate(config)
    configuration.validate_image_shape(config, (64, 64, 3))
    configuration.validate_devices(config, 1, 1)
    own = name if name != 'paper' else 'paper_reduced'     # the preset :paper has that work directory
    assert (config.name, config.preset) == (f'{dataset}-{own}', preset)
    assert config.dataset.name == dataset
    assert config.method == ('ct_vae' if name == 'paper' else name)


@pytest.mark.parametrize('name', NAMES[:-1])
def test_data_and_evaluation_are_those_of_our_default(name):
  config, ours = config_of(name), dsprites.get_config()
  assert config.dataset == ours.dataset and config.evaluation == ours.evaluation
  pairs = lambda c: (c.train.batch_size, c.train.targets)
  assert pairs(config) == pairs(ours)
  assert config.pretrain.steps == 0 < config_of(name, 'smoke').train.steps < config.train.steps
  assert config_of(name, 'shapes3d,steps=7,seed=3,smoke').train.steps == 7


def test_the_paper_is_narrower_and_shorter_and_otherwise_itself():
  config, full = config_of('paper'), dsprites.get_config('paper')
  assert config.loss == full.loss and config.dataset == dsprites.get_config().dataset
  for stage in ('pretrain', 'train'):
    epochs = lambda c: c[stage].steps // c[stage].decay_every
    assert epochs(config) == epochs(full) and config[stage].steps < full[stage].steps


@pytest.mark.parametrize('arg, match', [
    ('dsprite', "Unknown dataset or preset 'dsprite'"), ('shapes3d,dsprites', 'one dataset'),
    ('paper', "Unknown dataset or preset 'paper'"), ('bach=3', "Unknown shorthand 'bach=3'")])
@pytest.mark.parametrize('name', ['inverse', 'paper'])
def test_bad_arguments_are_told(name, arg, match):
  with pytest.raises(UserError, match=match):
    config_of(name, arg)


@pytest.mark.parametrize('change, match', [
    ({'model.widths': (4, 0)}, 'model.widths'), ({'train.weight_decay': -1.}, 'train.weight_decay'),
    ({'method': 'ct_vae'}, 'configs/baselines/'), ({'loss.retrieval': -1.}, 'loss.retrieval')])
def test_bad_values_are_told(change, match):
  config = config_of('inverse')
  config.update_from_flattened_dict(change)
  with pytest.raises(UserError, match=re.escape(match)):
    configuration.validate(config)


def test_images_that_the_network_cannot_halve():
  with pytest.raises(UserError, match='cannot be reduced by 16'):
    configuration.validate_image_shape(config_of('inverse'), (24, 24, 1))
