"""Tests of cvq.files."""

import json
import os

import pytest

from cvq import files


def test_writes_json(tmp_path):
  files.write_json(tmp_path / 'a.json', {'b': [1, None]})
  assert json.loads((tmp_path / 'a.json').read_text()) == {'b': [1, None]}
  assert os.listdir(tmp_path) == ['a.json']


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  files.write_json(path, 1)

  def full(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(OSError, match='No space'):
    files.write_json(path, 2)
  assert path.read_text() == '1\n' and os.listdir(tmp_path) == ['a.json']
