"""What a report begins from: an evaluation that belongs to the checkpoint, or a message."""

import json
import shutil

import pytest

from cvq.errors import UserError
from cvq.report import collect

pytestmark = pytest.mark.slow


@pytest.fixture(name='copy')
def fixture_copy(toy, tmp_path):
  return shutil.copytree(toy.workdir, tmp_path / 'copy')


def refuse(config, workdir, *parts, compare=()):
  before = {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()} \
      if workdir.exists() else {}
  with pytest.raises(UserError) as error:
    collect.write_report(config, str(workdir), compare=compare)
  for part in parts:
    assert part in str(error.value)
  assert 1 <= len(str(error.value).splitlines()) <= 3
  assert all(path.read_bytes() == data for path, data in before.items())


def test_no_checkpoint(toy, tmp_path):
  refuse(toy.config, tmp_path / 'none', 'no checkpoint', 'without --mode=report')


def test_damaged_evaluation(toy, copy):
  (copy / 'evaluation.json').write_text('{"retrieval": ')
  refuse(toy.config, copy, 'evaluation.json is damaged', 'Move it away')
  (copy / 'evaluation.json').write_text('[]')
  refuse(toy.config, copy, 'evaluation.json lacks figures')


def test_compared_run_without_evaluation(toy, copy, tmp_path):
  refuse(toy.config, copy, str(tmp_path / 'other'), 'no evaluation.json', '--mode=evaluate',
         compare=[str(tmp_path / 'other')])


def test_another_config(toy, copy):
  config = toy.config.copy_and_resolve_references()
  config.train.steps = 13
  refuse(config, copy, 'train.steps', '8 -> 13')


@pytest.mark.parametrize('other', [{'step': 3}, {'examples': 5}])
def test_evaluation_of_another_step_or_sample_is_made_anew(toy, copy, monkeypatch, other):
  old = json.loads((copy / 'evaluation.json').read_text())
  (copy / 'evaluation.json').write_text(json.dumps(old | other))
  for name in ('judged', 'chained', 'planned', 'mechanisms', 'representation', 'traversals'):
    monkeypatch.setattr(collect.sections, name, lambda *_: ({}, {}))
  monkeypatch.setattr(collect.page, 'render', lambda report, pictures: 'page')
  report = collect.write_report(toy.config, str(copy))
  new = json.loads((copy / 'evaluation.json').read_text())
  assert new | {'seconds': 0} == old | {'seconds': 0}
  assert report['evaluation'] == new and (copy / 'report.html').read_text() == 'page'
