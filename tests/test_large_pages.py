"""A program starts again with the setting, once, and with all that it was given."""

import os
import subprocess
import sys

import pytest

from cvq import large_pages

PROGRAM = """
import os, sys
from cvq import large_pages
print('started', os.getpid())
large_pages.start_again()
print(os.environ.get('GLIBC_TUNABLES'), *sys.argv[1:], sys.flags.utf8_mode)
"""


@pytest.fixture(name='kernel')
def fixture_kernel(tmp_path, monkeypatch):
  path = tmp_path / 'enabled'
  monkeypatch.setattr(large_pages, '_KERNEL', path)
  return path


@pytest.fixture(name='started')
def fixture_started(monkeypatch):
  """Command lines and tunables of what was started instead."""
  found = []
  monkeypatch.setattr(os, 'execv', lambda path, argv: found.append(
      (path, argv, os.environ['GLIBC_TUNABLES'])))
  monkeypatch.setenv('GLIBC_TUNABLES', '')             # put back after the test
  return found


def test_same_process_same_arguments():
  environment = {name: value for name, value in os.environ.items() if name != 'GLIBC_TUNABLES'}
  done = subprocess.run([sys.executable, '-X', 'utf8', '-c', PROGRAM, 'a b', '--c'], text=True,
                        capture_output=True, env=environment, check=True)
  *started, last = done.stdout.splitlines()
  assert last.endswith('a b --c 1') and done.stderr == ''
  if '[madvise]' in large_pages._setting():            # pylint: disable=protected-access
    assert last.startswith('glibc.malloc.hugetlb=1 ') and len(started) == 2
    assert started[0] == started[1]                    # the number of the process
  else:
    assert len(started) == 1


@pytest.mark.parametrize('before, after', [
    ('', 'glibc.malloc.hugetlb=1'),
    ('glibc.malloc.arena_max=1', 'glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1')])
def test_other_settings_are_kept(kernel, started, monkeypatch, before, after):
  kernel.write_text('always [madvise] never\n')
  monkeypatch.setenv('GLIBC_TUNABLES', before)
  large_pages.start_again()
  assert started == [(sys.executable, [sys.executable, *sys.orig_argv[1:]], after)]


@pytest.mark.parametrize('setting, tunables', [
    (None, ''), ('[always] madvise never\n', ''), ('always madvise [never]\n', ''),
    ('always [madvise] never\n', 'glibc.malloc.hugetlb=0')])
def test_nothing_to_do(kernel, started, monkeypatch, setting, tunables):
  if setting:
    kernel.write_text(setting)
  monkeypatch.setenv('GLIBC_TUNABLES', tunables)
  large_pages.start_again()
  assert started == []
