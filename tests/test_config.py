"""Presets are valid, and every bad field is named with its value and a remedy."""

import importlib
import re

from ml_collections import ConfigDict
import pytest

from configs import common, dsprites
from cvq import config as configuration
from cvq.errors import UserError


@pytest.mark.parametrize(
    'arg', ['', 'smoke', 'best', 'paper', 'paper,batch=8', 'smoke,steps=5,seed=3'])
def test_presets_are_valid(arg):
  config = dsprites.get_config(arg)
  configuration.validate(config)
  configuration.validate_image_shape(config, (64, 64, 1))
  configuration.validate_devices(config, 1, 1)


def test_shorthands_set_their_fields():
  config = dsprites.get_config('paper,batch=8,steps=100,seed=2')
  assert (config.preset, config.train.batch_size, config.train.steps, config.seed) == \
      ('paper', 8, 100, 2)


@pytest.mark.parametrize('arg', ['tiny', 'smoke,bach=3', 'batch=many', 'paper,batch=-1'])
def test_unknown_presets_and_shorthands(arg):
  with pytest.raises(UserError, match='Unknown (preset|shorthand)'):
    dsprites.get_config(arg)


def test_every_choice_that_is_checked_exists_and_has_its_default_among_the_known():
  values = dict(configuration.leaves(common.base()))
  for name, known in configuration.CHOICES.items():
    assert values[name] in known


@pytest.mark.parametrize('name', sorted(configuration.CHOICES))
def test_unknown_choice(name):
  config = dsprites.get_config()
  config.update_from_flattened_dict({name: 'nonsense'})
  with pytest.raises(UserError, match=re.escape(f"{name} is 'nonsense'; choose one of")):
    configuration.validate(config)


@pytest.mark.parametrize('name, value', [
    ('train.batch_size', 0), ('train.batch_size', -4), ('train.targets', 0),
    ('train.learning_rate', -1e-3), ('train.learning_rate', float('nan')), ('train.steps', 0),
    ('model.latent_dim', 0), ('model.quantizer.codes', -1), ('model.encoder.margin', -1),
    ('model.encoder.widths', (8, 0)), ('model.decoder.widths', ()), ('loss.retrieval', -1.),
    ('loss.edge_prior', 1.),
    ('model.quantizer.decay', 1.), ('evaluation.batch_size', 0), ('checkpoint.every', 0),
    ('checkpoint.keep_last', 0), ('log.every', 0), ('dataset.fractions', (.5, .5, .5)),
    ('dataset.fractions', (None, .5, .5)), ('dataset.fractions', (1.2, -.1, -.1)),
    ('train.mode_weights', (0., 0., 0.)), ('model.latent_dim', 65), ('model.transition.reach', 0),
    ('model.quantizer.unit', False), ('model.transition.mistake', 'clamped')])
def test_values_that_make_no_sense(name, value):
  config = dsprites.get_config()
  config.update_from_flattened_dict({name: value})
  with pytest.raises(UserError) as error:
    configuration.validate(config)
  message = str(error.value)
  assert name.split('.')[-1] in message and 1 <= len(message.splitlines()) <= 3


def test_a_width_that_heads_cannot_share_is_wrong_where_there_are_heads():
  config = dsprites.get_config()
  config.model.transition.width = 126
  configuration.validate(config)
  config.model.transition.messages = 'attention'
  with pytest.raises(UserError, match='--config.model.transition.width=128'):
    configuration.validate(config)


def test_latent_dim_that_codebooks_cannot_share_is_told_the_next_that_works():
  config = dsprites.get_config()
  config.model.latent_dim = 65
  with pytest.raises(UserError, match='--config.model.latent_dim=68'):
    configuration.validate(config)


@pytest.mark.parametrize('name', ['model.global_level.codes', 'train_global.steps'])
def test_global_level_needs_both_codes_and_steps(name):
  config = dsprites.get_config()
  config.update_from_flattened_dict({name: 0})
  with pytest.raises(UserError, match=f'(?s){name} is 0.*--config.model.global_level.codes=0'):
    configuration.validate(config)
  config.model.global_level.codes = config.train_global.steps = 0
  configuration.validate(config)


@pytest.mark.parametrize('baseline, field, value, remedy', [
    ('inverse', 'train.products', 'bfloat16', 'float32'), ('inverse', 'pretrain.steps', 9, '0'),
    ('inverse', 'train_global.steps', 9, '0'), ('beta_vae', 'train_global.steps', 9, '0'),
    ('beta_vae', 'pretrain.steps', 9, '')])
def test_baselines_know_no_rounded_products_and_not_every_stage(baseline, field, value, remedy):
  config = importlib.import_module(f'configs.baselines.{baseline}').get_config()
  configuration.validate(config)
  config.update_from_flattened_dict({field: value})
  if not remedy:                                         # an autoencoder, which has that stage
    configuration.validate(config)
    return
  with pytest.raises(UserError, match=f'{field} is {value}.*--config.{field}={remedy}'):
    configuration.validate(config)


def test_a_mode_in_which_nothing_learns_is_refused():
  config = dsprites.get_config()
  config.train.update(modes='alternate', trainable='transition')
  with pytest.raises(UserError, match='(?s)mode_weights is .*--config.train.mode_weights='):
    configuration.validate(config)
  config.train.mode_weights = (0., 1., 1.)
  configuration.validate(config)


@pytest.mark.parametrize('fields, match', [
    ({'dataset.fractions': (0., .5, .5)}, 'leaves no train split'),
    ({'dataset.fractions': (.5, 0., .5)}, 'leaves no validation split'),
    ({'dataset.fractions': (.5, .5, 0.)}, 'leaves no test split'),
    ({'dataset.fractions': (.5, .5, 0.), 'evaluation.split': 'validation'}, ''),
    ({'dataset.fractions': (.5, .5, 0.), 'dataset.splits': 'compositional'}, ''),
    ({'dataset.fractions': (0., 0., 1.), 'dataset.splits': 'published'}, ''),
    ({'train.modes': 'alternate', 'model.transition.alternatives': 2}, 'alternatives is 2, but')])
def test_what_is_refused_where_a_run_begins_and_read_where_one_has_been(fields, match):
  config = dsprites.get_config()
  config.update_from_flattened_dict(fields)
  configuration.validate(config)
  if not match:
    configuration.check_training(config)
    return
  with pytest.raises(UserError, match=f'{match}(?s:.*)--config.'):
    configuration.check_training(config)


def test_batch_that_devices_cannot_share():
  with pytest.raises(UserError, match='(?s)train.batch_size is 16.*--config.train.batch_size=18'):
    config = dsprites.get_config()
    config.pretrain.batch_size = 66
    configuration.validate_devices(config, 6, 1)


@pytest.mark.parametrize('fields, match', [
    ({'model.encoder.patch': 7}, '64x64 pixels cannot be reduced by 7'),
    ({'model.encoder.name': 'conv', 'model.encoder.widths': (2,) * 7}, 'reduced by 128'),
    ({'model.encoder.patch': 16}, 'encoder reduces images by 16, the decoder enlarges them by 8')])
def test_images_that_encoder_and_decoder_do_not_fit(fields, match):
  config = dsprites.get_config()
  config.update_from_flattened_dict(fields)
  with pytest.raises(UserError, match=match):
    configuration.validate_image_shape(config, (64, 64, 1))


def test_images_of_two_or_four_channels_are_refused():
  for channels in (2, 4):
    with pytest.raises(UserError, match=f'{channels} channels: pictures need 1'):
      configuration.validate_image_shape(dsprites.get_config(), (64, 64, channels))


def test_work_directory_that_is_or_lies_in_a_file(tmp_path):
  (tmp_path / 'file').write_text('')
  for path in (tmp_path / 'file', tmp_path / 'file' / 'deeper'):
    with pytest.raises(UserError, match='is a file'):
      configuration.check_workdir(str(path))


def test_work_directory_without_room(tmp_path, monkeypatch):
  full = type('Space', (), {'f_bavail': 10, 'f_frsize': 4096})
  monkeypatch.setattr(configuration.os, 'statvfs', lambda _: full)
  with pytest.raises(UserError, match='0 MB left'):
    configuration.check_workdir(str(tmp_path))


def test_work_directory_that_cannot_be_written(tmp_path, monkeypatch):
  def refuse(**_):
    raise PermissionError(13, 'Permission denied')
  monkeypatch.setattr(configuration.tempfile, 'TemporaryFile', refuse)
  with pytest.raises(UserError, match='cannot be written: Permission denied'):
    configuration.check_workdir(str(tmp_path))


def test_work_directory_with_a_name_that_is_too_long(tmp_path):
  with pytest.raises(UserError, match='cannot be written: File name too long'):
    configuration.check_workdir(str(tmp_path / ('a' * 300)))


def test_leaves_are_dotted():
  assert dict(configuration.leaves(ConfigDict({'a': 1, 'b': {'c': 2}}))) == {'a': 1, 'b.c': 2}
