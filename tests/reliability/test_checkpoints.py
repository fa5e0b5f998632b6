"""Checkpoints under damage at any place, and under clocks that go backwards."""

import os
import shutil
import time

import chex
import hypothesis
from hypothesis import strategies as st
import jax
import numpy as np
import pytest

from cvq import checkpoints
from cvq.errors import UserError
from tests import small
from tests.reliability import fuzzing


def state_of(step):
  key = jax.random.key(step)
  return {'step': np.int32(step), 'w': np.asarray(jax.random.normal(key, (40, 30)))}


def save(store, step, retrieval=None):
  store.save(step, state_of(step), data={'train': {'next_index': 1000 + step}},
             config=small.config(), progress={'seconds': step / 7, 'version': 'test'},
             metrics=None if retrieval is None else {'retrieval': retrieval})
  store.wait()


def restore(folder):
  store = checkpoints.Checkpoints(str(folder), keep_last=3, keep_best=1)
  try:
    return store.restore(state_of(0))
  finally:
    store.close()


def check(found, step):
  assert found.step == step
  chex.assert_trees_all_equal(found.state, state_of(step))
  assert found.data == {'train': {'next_index': 1000 + step}}
  assert found.progress['seconds'] == step / 7


@pytest.fixture(name='saved', scope='module')
def fixture_saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp('saved')
  store = checkpoints.Checkpoints(str(folder), keep_last=3, keep_best=1)
  for step in (1, 2):
    save(store, step)
  store.close()
  return folder


@hypothesis.given(st.data())
@fuzzing.cases(25, 1000)
def test_damage_anywhere_gives_the_same_or_the_one_before(tmp_path_factory, saved, data):
  """Never another state, another position in the data, or a traceback."""
  folder = tmp_path_factory.mktemp('damaged') / 'run'
  shutil.copytree(saved, folder)
  newest = folder / 'checkpoints' / '2'
  path = data.draw(st.sampled_from(sorted(p for p in newest.rglob('*') if p.is_file())))
  content = bytearray(path.read_bytes())
  kind = data.draw(st.sampled_from(['flip', 'cut', 'lost', 'longer']))
  if kind == 'flip' and content:
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
  elif kind == 'cut' and content:
    del content[data.draw(st.integers(0, len(content) - 1)):]
  elif kind == 'longer':
    content += data.draw(st.binary(min_size=1, max_size=40))
  path.write_bytes(content)
  if kind == 'lost':
    path.unlink()
  found = restore(folder)
  check(found, found.step)
  assert found.step in (1, 2)
  shutil.rmtree(folder)


def test_a_position_in_the_data_that_changed_is_not_believed(saved, tmp_path, capsys):
  """Valid JSON all the same: 1002 became 1003."""
  shutil.copytree(saved, tmp_path / 'run')
  changed = 0
  for path in (tmp_path / 'run' / 'checkpoints' / '2' / 'data').rglob('*'):
    if path.is_file() and b'1002' in path.read_bytes():
      path.write_bytes(path.read_bytes().replace(b'1002', b'1003'))
      changed += 1
  assert changed == 1
  check(restore(tmp_path / 'run'), 1)
  assert 'checkpoints/2 is damaged' in capsys.readouterr().err


def test_clocks_that_go_backwards(tmp_path, monkeypatch):
  """Each save is a day older than the one before, by the clock and on disk."""
  now, now_ns = time.time, time.time_ns
  store = checkpoints.Checkpoints(str(tmp_path), keep_last=2, keep_best=1)
  for step, retrieval in ((1, .5), (2, .9), (3, .2), (4, .1), (5, .3)):
    monkeypatch.setattr(time, 'time', lambda: now() - 86_400 * step)
    monkeypatch.setattr(time, 'time_ns', lambda: now_ns() - 86_400 * 10**9 * step)
    save(store, step, retrieval)
    for path in [*(tmp_path / 'checkpoints' / str(step)).rglob('*'),
                 tmp_path / 'checkpoints' / str(step)]:
      os.utime(path, (now() - 86_400 * step,) * 2)
  store.close()
  kept = {int(path.name) for path in (tmp_path / 'checkpoints').iterdir() if path.name.isdigit()}
  assert kept == {2, 4, 5}                             # the best one and the two of the last steps
  check(restore(tmp_path), 5)


def test_a_directory_that_is_only_read(saved, tmp_path):
  """The file system refuses, as it does root too."""
  if os.system(f'mount -t tmpfs tmpfs {tmp_path} 2> /dev/null'):
    pytest.skip('only root may mount a file system here')
  try:
    shutil.copytree(saved, tmp_path / 'run')
    assert not os.system(f'mount -o remount,ro {tmp_path}')
    check(restore(tmp_path / 'run'), 2)
    store = checkpoints.Checkpoints(str(tmp_path / 'run'), keep_last=3, keep_best=1)
    with pytest.raises(UserError, match='cannot be written|could not be written'):
      save(store, 3)
  finally:
    os.system(f'umount {tmp_path}')
