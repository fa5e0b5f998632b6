"""Checkpoints: exact round trips, the right ones kept, damaged ones passed over."""

import os
import pathlib
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cvq import checkpoints, integrity
from cvq.errors import Diverged, UserError
from tests import small

ROOT = pathlib.Path(__file__).parents[1]


def state_of(step):
  key = jax.random.key(step)
  return {'step': jnp.int32(step), 'params': {'w': jax.random.normal(key, (4, 3))}}


def save(store, step, retrieval=None):
  metrics = None if retrieval is None else {'retrieval': retrieval}
  store.save(step, state_of(step), data={'train': {'next_index': step}}, config=small.config(),
             progress={'seconds': float(step), 'version': 'test'}, metrics=metrics)
  store.wait()


@pytest.fixture
def store(tmp_path):
  store = checkpoints.Checkpoints(str(tmp_path), keep_last=2, keep_best=1)
  yield store
  store.close()


def steps_in(tmp_path):
  return sorted(int(p.name) for p in (tmp_path / 'checkpoints').iterdir() if p.name.isdigit())


def damage(tmp_path, step):
  """Empties every file of a step's state, as a full disk or a lost block would."""
  for path in (tmp_path / 'checkpoints' / str(step) / 'state').rglob('*'):
    if path.is_file():
      path.write_bytes(b'')


def test_round_trip_is_exact(store):
  save(store, 7)
  restored = store.restore(state_of(0))
  assert restored.step == 7
  chex.assert_trees_all_equal(restored.state, state_of(7))
  assert restored.data == {'train': {'next_index': 7}}
  assert restored.progress == {'seconds': 7., 'version': 'test'}


def test_other_processes_raise_what_the_first_one_met(store, monkeypatch):
  told = []
  monkeypatch.setattr(checkpoints.parallel, 'text_from_first', lambda text: told.append(text) or text)
  bad = {'step': jnp.int32(3), 'params': {'w': jnp.full((4, 3), jnp.nan)}}
  arguments = dict(data={}, config=small.config(), progress={})
  with pytest.raises(Diverged) as first:
    store.save(3, bad, **arguments)
  other = object.__new__(checkpoints.Checkpoints)          # as on a process that writes nothing
  other._manager = None                                    # pylint: disable=protected-access
  monkeypatch.setattr(checkpoints.parallel, 'text_from_first', lambda text: told[-1])
  with pytest.raises(UserError, match='params.w is not finite') as second:
    other.save(3, bad, **arguments)
  assert str(second.value) == str(first.value) and second.value.code == first.value.code == 3


def test_nothing_there_restores_none(store):
  assert store.restore(state_of(0)) is None


def test_last_ones_and_the_best_are_kept_by_who_opens_them_next(tmp_path):
  def then(*saves):
    store = checkpoints.Checkpoints(str(tmp_path), keep_last=2, keep_best=1)
    try:
      assert store.restore(state_of(0)) is None or store.restore(state_of(0), step=2).step == 2
      for step, retrieval in saves:
        save(store, step, retrieval)
    finally:
      store.close()
    return steps_in(tmp_path)

  assert then((1, .2), (2, .9), (3, .5)) == [2, 3]
  assert then((4, None), (5, .6)) == [2, 4, 5]
  # Its figure is lost, its state is not.
  (tmp_path / 'checkpoints' / '2' / 'metrics' / 'metrics').write_bytes(b'{"retrie')
  assert then((6, .1)) == [5, 6]


def test_damaged_newest_falls_back_and_its_step_can_be_saved_again(store, tmp_path, capsys):
  save(store, 1)
  save(store, 2)
  damage(tmp_path, 2)
  with pytest.raises(UserError, match=r'checkpoints/2 is damaged \(.*other steps there: 1\.'):
    store.restore(state_of(0), step=2)                 # it and no other
  restored = store.restore(state_of(0), set_aside=True)
  assert restored.step == 1
  chex.assert_trees_all_equal(restored.state, state_of(1))
  assert str(tmp_path / 'checkpoints' / '2') in capsys.readouterr().err
  assert (tmp_path / 'damaged' / '2').is_dir()         # moved, not deleted
  save(store, 2)
  assert store.restore(state_of(0)).step == 2


def test_all_damaged_is_an_error_that_deletes_nothing(store, tmp_path):
  save(store, 1)
  save(store, 2)
  damage(tmp_path, 1)
  damage(tmp_path, 2)
  for _ in range(2):                    # again: the second run must not start from nothing
    with pytest.raises(UserError, match='No checkpoint .* can be read'):
      store.restore(state_of(0), set_aside=True)
    assert steps_in(tmp_path) == [1, 2]


def test_a_changed_bit_is_noticed(tmp_path, capsys):
  """Orbax and its file format read an array with a changed bit back without a word."""
  state = lambda step: {'w': jax.random.normal(jax.random.key(step), (200, 200))}
  store = checkpoints.Checkpoints(str(tmp_path), keep_last=2, keep_best=1)
  for step in (1, 2):
    store.save(step, state(step), data={}, config=small.config(), progress={})
    store.wait()
  files = [p for p in (tmp_path / 'checkpoints' / '2' / 'state').rglob('*') if p.is_file()]
  largest = max(files, key=lambda p: p.stat().st_size)
  content = bytearray(largest.read_bytes())
  content[len(content) * 3 // 4] ^= 1
  largest.write_bytes(content)
  restored = store.restore(state(0))
  store.close()
  assert restored.step == 1
  chex.assert_trees_all_equal(restored.state, state(1))
  assert 'checksum' in capsys.readouterr().err


def test_checksum_sees_every_leaf_and_its_order():
  state = {'a': np.arange(6.), 'b': np.int32(3), 'c': np.arange(12)[::2]}
  value = integrity.checksum(state)
  assert value == integrity.checksum(jax.tree.map(jnp.asarray, state) | {
      'a': state['a'].copy(), 'c': state['c'].copy()})
  assert value != integrity.checksum(state | {'b': np.int32(4)})
  assert value != integrity.checksum(state | {'c': state['c'][::-1]})


@pytest.mark.parametrize('harm', [
    lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    lambda path: path.unlink()], ids=['cut', 'lost'])
def test_a_damaged_file_takes_one_line_and_no_traceback(tmp_path, harm):
  """In a process of its own: left to itself Orbax ends with a traceback per array, some at exit."""
  state = {f'w{i}': jnp.full(9, i, jnp.float32) for i in range(60)}
  store = checkpoints.Checkpoints(str(tmp_path), keep_last=2, keep_best=1)
  for step in (1, 2):
    store.save(step, state, data={}, config=small.config(), progress={})
  store.close()
  harm(tmp_path / 'checkpoints' / '2' / 'state' / 'manifest.ocdbt')
  code = ('import sys, numpy as np; from absl import logging; from cvq import checkpoints\n'
          'logging.set_verbosity(logging.ERROR)\n'
          'store = checkpoints.Checkpoints(sys.argv[1], keep_last=2, keep_best=1)\n'
          'state = {f"w{i}": np.zeros(9, np.float32) for i in range(60)}\n'
          'print(store.restore(state).step); store.close()')
  result = subprocess.run([sys.executable, '-c', code, tmp_path], cwd=ROOT, text=True,
                          capture_output=True, check=True,
                          env=os.environ | {'JAX_PLATFORMS': 'cpu'})
  assert result.stdout.strip() == '1'
  assert len(result.stderr.strip().splitlines()) == 1 and 'damaged' in result.stderr


def test_a_full_disk_is_said_before_anything_is_written(store, tmp_path, monkeypatch):
  save(store, 1)
  full = type('Space', (), {'f_bavail': 1, 'f_frsize': 4096})
  with monkeypatch.context() as patch:
    patch.setattr(checkpoints.os, 'statvfs', lambda _: full)
    with pytest.raises(UserError, match='0 MB left'):
      save(store, 2)
  assert steps_in(tmp_path) == [1]
  save(store, 2)
  assert store.restore(state_of(0)).step == 2


@pytest.mark.parametrize('params, message', [
    ({'w': jnp.zeros((4, 4))}, r'1 arrays differ.*params/w .float32 .4, 3., expected .*4, 4'),
    ({'w': jnp.zeros((4, 3), int)}, r'params/w .float32 .4, 3., expected int32'),
    ({'v': jnp.zeros((4, 3))}, r'2 arrays differ.*params/v .not there, expected float32 .4, 3.')])
def test_another_layout_is_refused_and_is_no_damage(store, tmp_path, params, message):
  save(store, 1)
  save(store, 2)
  with pytest.raises(UserError, match='/2 was written by cvq test.*' + message):
    store.restore({'step': jnp.int32(0), 'params': params}, set_aside=True)
  assert steps_in(tmp_path) == [1, 2]


def test_states_of_several_devices_are_read_on_one(store):
  """What pmap returns is spread over devices; the checkpoint is not."""
  run = jax.pmap(lambda s, x: s + jax.lax.pmean(x.sum(), 'd'), axis_name='d', in_axes=(None, 0),
                 out_axes=None)
  w = run(jnp.zeros(3), jnp.ones((jax.local_device_count(), 2)))
  store.save(1, {'w': w}, data={}, config=small.config(), progress={})
  store.wait()
  np.testing.assert_array_equal(store.restore({'w': jnp.zeros(3)}).state['w'], [2., 2., 2.])
