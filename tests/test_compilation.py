"""Compiled programs are kept beside the data, by processor."""

import os
import pathlib
import subprocess
import sys
import zlib

import jax
import pytest

from cvq import compilation


@pytest.fixture(autouse=True)
def config_as_before():
  before = jax.config.jax_compilation_cache_dir
  jax.config.update('jax_compilation_cache_dir', None)
  yield
  jax.config.update('jax_compilation_cache_dir', before)


def test_programs_lie_beside_the_data(tmp_path):
  folder = compilation.keep(str(tmp_path))
  assert folder == tmp_path / 'compiled' / compilation.machine() and folder.is_dir()
  assert jax.config.jax_compilation_cache_dir == str(folder)


def test_a_place_that_the_user_chose_stays(tmp_path):
  jax.config.update('jax_compilation_cache_dir', str(tmp_path / 'mine'))
  assert compilation.keep(str(tmp_path)) == tmp_path / 'mine'
  assert not (tmp_path / 'compiled').exists()


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  assert compilation.keep(str(tmp_path / 'file')) is None
  assert jax.config.jax_compilation_cache_dir is None


def test_another_processor_has_a_folder_of_its_own(tmp_path, monkeypatch):
  here = compilation.machine()
  assert here == compilation.machine()
  monkeypatch.setattr(compilation, '_CPU', tmp_path / 'cpuinfo')
  (tmp_path / 'cpuinfo').write_text('model name : another\nflags : sse avx\ncpu MHz : 1\n')
  other = compilation.machine()
  (tmp_path / 'cpuinfo').write_text('model name : another\nflags : sse avx\ncpu MHz : 2\n')
  assert here != other == compilation.machine()


def test_what_is_half_written_is_deleted_and_the_rest_read_once(tmp_path, monkeypatch):
  program = zlib.compress(os.urandom(2**12))
  contents = {'whole': program, 'half': program[:2000], 'last-byte': program[:-1], 'empty': b'',
              'changed': program[:99] + bytes([program[99] ^ 1]) + program[100:],
              'zstd': b'\x28\xb5\x2f\xfd...'}
  for name, content in contents.items():
    (tmp_path / f'{name}-cache').write_bytes(content)
  (tmp_path / 'notes').write_text('of somebody else')
  compilation.drop_half_written(tmp_path)
  left = ['notes', 'whole', 'whole-cache', 'zstd-cache']
  assert sorted(path.name for path in tmp_path.iterdir()) == left
  monkeypatch.setattr(compilation, '_is_whole', lambda _: False)
  compilation.drop_half_written(tmp_path)
  assert sorted(path.name for path in tmp_path.iterdir()) == left
  (tmp_path / 'whole-cache').write_bytes(program[:2000])         # written anew, and killed
  compilation.drop_half_written(tmp_path)
  assert not (tmp_path / 'whole-cache').exists()


START = """
import sys, jax, jax.numpy as jnp
from cvq import compilation
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.)
print(compilation.keep(sys.argv[1]))
jax.jit(lambda x: jnp.tanh(x) @ x)(jnp.ones((8, 8)))
"""


@pytest.mark.slow
def test_half_an_entry_of_jax_costs_one_compilation_and_no_warning(tmp_path):
  def start():
    environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
    environment.pop('JAX_COMPILATION_CACHE_DIR', None)
    result = subprocess.run([sys.executable, '-c', START, tmp_path], text=True, check=True,
                            capture_output=True, env=environment)
    assert 'compilation cache' not in result.stderr, result.stderr
    folder = pathlib.Path(result.stdout.splitlines()[-1])
    return {path: path.read_bytes() for path in folder.glob('*-cache')}
  before = start()
  assert before
  for path, content in before.items():
    path.write_bytes(content[:len(content) // 2])
  after = start()
  assert after.keys() == before.keys()
  assert all(zlib.decompress(content) for content in after.values())
