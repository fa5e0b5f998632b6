"""Tests of cvq.files."""

import json
import os

import pytest

from cvq import files


def test_writes_json(tmp_path):
  files.write_json(tmp_path / 'a.json', {'b': [1, None]})
  assert json.loads((tmp_path / 'a.json').read_text()) == {'b': [1, None]}
  assert os.listdir(tmp_path) == ['a.json']


def test_it_is_on_the_disk_before_it_has_its_name_and_rights_are_the_usual(tmp_path, monkeypatch):
  done, real = [], (os.fsync, os.replace)
  monkeypatch.setattr(os, 'fsync', lambda fd: (done.append(os.fstat(fd).st_size), real[0](fd)))
  monkeypatch.setattr(os, 'replace', lambda a, b: (done.append(str(a)), real[1](a, b)))
  before = os.umask(0o027)
  try:
    for _ in range(2):
      files.write_text(tmp_path / 'a.txt', 'four')
  finally:
    os.umask(before)
  assert done[::2] == [4, 4] and done[1] != done[3]    # two machines have no name in common
  assert (tmp_path / 'a.txt').stat().st_mode & 0o777 == 0o640


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  files.write_json(path, 1)

  def full(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(os, 'replace', full)
  with pytest.raises(OSError, match='No space'):
    files.write_json(path, 2)
  assert path.read_text() == '1\n' and os.listdir(tmp_path) == ['a.json']
