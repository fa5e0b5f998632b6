"""A full disk, a second run in the same place: a message, nothing lost, and the run goes on."""

import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from cvq import files, locks, train
from cvq.errors import UserError
from tests import tiny
from tests.reliability import chaos


@pytest.fixture(name='small_disk')
def fixture_small_disk(tmp_path):
  """A file system of 80 MB in memory."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', folder],
                           capture_output=True, check=False)
  if mounted.returncode:
    pytest.skip('only root may mount a file system here')
  yield folder
  subprocess.run(['umount', folder], check=True)


def fill(folder: pathlib.Path) -> pathlib.Path:
  """A file that takes all that is left."""
  path = folder / 'filler'
  with path.open('wb', buffering=0) as file:
    for size in (2**20, 2**12, 1):
      try:
        while True:
          file.write(bytes(size))
      except OSError as error:
        assert error.errno == errno.ENOSPC
  return path


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle(tmp_path, small_disk, tiny_run, cache):
  def blow(process):
    process.send_signal(signal.SIGSTOP)                # it takes no further step meanwhile
    fill(small_disk)
    process.send_signal(signal.SIGCONT)
  place = chaos.Place(small_disk, cache, tmp_path / 'log', settled=True)
  code = place.start(strike=chaos.Strike('step', 12, 0.), blow=blow)
  said = place.log.read_text()
  assert code == 2 and 'Traceback' not in said, said
  assert 'Make room' in said.splitlines()[-1] or 'Make room' in said.splitlines()[-2], said
  assert chaos.newest(place.workdir) == 10 and chaos.half_written(small_disk) == []
  assert place.start() == 2                            # still full: said before anything begins
  assert 'make room' in place.log.read_text()[len(said):]
  (small_disk / 'filler').unlink()
  assert place.start() == 0, place.log.read_text()
  assert place.starts[-1] == (10, 10)
  assert chaos.results(place.workdir, means=True) == chaos.results(tiny_run, means=True)


FULL = """
import pathlib, sys
import numpy as np
from cvq import checkpoints
from cvq.errors import UserError
from tests import tiny

checkpoints._check_room = lambda *_: None              # the disk fills up a moment later
state = {f'x{i}': np.random.default_rng(i).normal(size=2**17) for i in range(8)}
store = checkpoints.Checkpoints(sys.argv[1], keep_last=2, keep_best=1)
try:
  store.save(5, state, data={}, config=tiny.get_config(), progress={'seconds': 0., 'version': '0'})
  store.wait()
except UserError as error:
  print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize('room', [0, 2**16, 2**22], ids=lambda room: f'{room >> 10} kB')
def test_a_disk_that_is_full_while_a_checkpoint_is_written(small_disk, room):
  """Orbax and tensorstore have nothing to add: one message."""
  fill(small_disk)
  with (small_disk / 'filler').open('r+b') as file:
    file.truncate((small_disk / 'filler').stat().st_size - room)
  result = subprocess.run(
      [sys.executable, '-c', FULL, small_disk / 'run'], cwd=chaos.ROOT, text=True, check=True,
      capture_output=True, env=os.environ | {'JAX_PLATFORMS': 'cpu'})
  assert result.stdout.startswith('A checkpoint could not be written to'), result.stdout
  assert 'Make room' in result.stdout.splitlines()[-1]
  assert result.stderr == ''
  assert chaos.newest(small_disk / 'run') == 0


def test_files_are_whole_or_not_there_when_the_disk_is_full(small_disk):
  files.write_text(small_disk / 'kept', 'before')
  fill(small_disk)
  for name in ('kept', 'new'):
    with pytest.raises(OSError, match='No space left'):
      files.write_bytes(small_disk / name, bytes(2**16))
  assert (small_disk / 'kept').read_text() == 'before'
  assert sorted(os.listdir(small_disk)) == ['filler', 'kept']


def test_a_second_run_in_one_work_directory_touches_nothing(tmp_path):
  with locks.hold(str(tmp_path)):
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(UserError, match='is in use: process'):
      train.train(tiny.get_config(), str(tmp_path))
    assert sorted(tmp_path.rglob('*')) == before
