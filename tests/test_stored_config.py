"""config.json: a run goes on with the config that it was started with, and with no other."""

import json

import pytest

from cvq import stored_config
from cvq.errors import UserError
from tests import small


def test_config_of_another_run_is_refused_with_the_differences(tmp_path):
  stored_config.check(str(tmp_path), small.config())                  # new: nothing to refuse
  stored_config.write(str(tmp_path), small.config())
  stored_config.check(str(tmp_path), small.config(dataset__data_dir='elsewhere'))
  other = small.config(evaluation__split='train')
  stored_config.check(str(tmp_path), other, but=('evaluation.',))
  with pytest.raises(UserError, match='evaluation.split: test -> train'):
    stored_config.check(str(tmp_path), other)
  before = (tmp_path / 'config.json').read_text()
  with pytest.raises(UserError) as error:
    stored_config.check(str(tmp_path), small.config(train__batch_size=32, seed=3))
  assert 'train.batch_size: 8 -> 32' in str(error.value)
  assert 'seed: 0 -> 3' in str(error.value)
  assert 'workdir' in str(error.value)
  assert (tmp_path / 'config.json').read_text() == before
  assert json.loads(before)['train']['batch_size'] == 8


@pytest.mark.parametrize('field, before, other', [
    ('train.products', 'float32', 'bfloat16'), ('train.optimizer', 'adam', 'muon'),
    ('train.predicted', 'first', 'worst'), ('model.temperature', '1.0', 64.),
    ('model.transition.messages', 'attention', 'offsets'), ('model.transition.rounds', '1', 2),
    ('model.transition.alternatives', '1', 2), ('model.transition.edges', 'learned', 'all'),
    ('model.transition.self_edges', 'learned', 'all'),
    ('model.transition.mistake', 'none', 'clamped'),
    ('loss.code_entropy', '0.0', .1), ('model.quantizer.gradient', 'straight_through', 'rotation')])
def test_a_run_from_before_a_field_gave_a_choice_goes_on_as_it_was(tmp_path, field, before, other):
  config = lambda **other: small.config(**{
      'model__transition__messages': 'attention', 'train__optimizer': 'adam',
      'train__predicted': 'first'} | other)
  fields = stored_config.to_json(config())
  *groups, name = field.split('.')
  group = fields
  for part in groups:
    group = group[part]
  del group[name], fields['train']['split_at']
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  stored_config.check(str(tmp_path), config())
  with pytest.raises(UserError, match=f'{field}: {before} -> {other}'):
    stored_config.check(str(tmp_path), config(**{field.replace('.', '__'): other}))


def test_a_run_from_before_messages_gave_a_choice_goes_on_with_attention(tmp_path):
  attention = {'model__transition__messages': 'attention', 'model__transition__inner': 32}
  fields = stored_config.to_json(small.config())
  for name in ('messages', 'reach', 'inner'):
    del fields['model']['transition'][name]
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  stored_config.check(str(tmp_path), small.config(**attention))
  with pytest.raises(UserError, match='messages: attention -> offsets'):
    stored_config.check(str(tmp_path), small.config(model__transition__inner=32))


def test_a_layer_that_sends_no_such_messages_goes_on(tmp_path):
  fields = stored_config.to_json(small.paper_config())
  for name in ('messages', 'reach', 'inner'):
    del fields['model']['transition'][name]
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  stored_config.check(str(tmp_path), small.paper_config())


def test_damaged_config_is_named(tmp_path):
  (tmp_path / 'config.json').write_text('{"seed": ')
  with pytest.raises(UserError, match='config.json is damaged'):
    stored_config.check(str(tmp_path), small.config())
  (tmp_path / 'config.json').write_text('{"model": 5}')
  with pytest.raises(UserError, match='(?s)config.json is damaged.*Move it away'):
    stored_config.check(str(tmp_path), small.config())
