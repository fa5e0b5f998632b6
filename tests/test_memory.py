"""A program starts again with the settings of malloc, once, and with all that it was given."""

import os
import platform
import subprocess
import sys
import threading

import pytest

from cvq import memory

PROGRAM = """
import os, sys
from cvq import memory
print('started', os.getpid())
memory.keep()
print(os.environ.get('GLIBC_TUNABLES'), *sys.argv[1:], sys.flags.utf8_mode)
"""
ALL = ('glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647:glibc.malloc.arena_max=1:'
       'glibc.malloc.hugetlb=1')
GROWS = """
import resource
import numpy as np
from cvq import memory
memory.keep()
def faults():
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  np.ones(2**25)                                       # 256 MB, given back at once
  return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""


def run(program, *arguments):
  environment = {name: value for name, value in os.environ.items() if name != 'GLIBC_TUNABLES'}
  return subprocess.run([sys.executable, '-X', 'utf8', '-c', program, *arguments], text=True,
                        capture_output=True, env=environment, check=True).stdout


@pytest.fixture(name='started')
def fixture_started(monkeypatch):
  """Command lines and tunables of what was started instead."""
  found = []
  monkeypatch.setattr(os, 'execv', lambda path, argv: found.append(
      (path, argv, os.environ['GLIBC_TUNABLES'])))
  monkeypatch.setattr(platform, 'libc_ver', lambda: ('glibc', '2.36'))
  monkeypatch.setattr(threading, 'active_count', lambda: 1)
  monkeypatch.setenv('GLIBC_TUNABLES', '')             # put back after the test
  return found


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='settings of glibc')
def test_same_process_same_arguments():
  one, two, last = run(PROGRAM, 'a b', '--c').splitlines()
  assert one == two                                    # the number of the process
  assert last == f'{ALL} a b --c 1'


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='settings of glibc')
def test_memory_is_kept():
  _, again = map(int, run(GROWS).split())
  assert again < 100                                   # of 65,536 pages


@pytest.mark.parametrize('before, after', [
    ('', ALL), ('glibc.malloc.hugetlb=0', ':'.join(
        ['glibc.malloc.hugetlb=0', *ALL.split(':')[:-1]]))])
def test_settings_of_the_user_are_kept(started, monkeypatch, before, after):
  monkeypatch.setenv('GLIBC_TUNABLES', before)
  memory.keep()
  assert started == [(sys.executable, [sys.executable, *sys.orig_argv[1:]], after)]


@pytest.mark.parametrize('libc, threads, tunables', [
    ('glibc', 1, ALL), ('libc', 1, ''), ('', 1, ''), ('glibc', 2, '')])
def test_nothing_to_do(started, monkeypatch, libc, threads, tunables):
  monkeypatch.setattr(platform, 'libc_ver', lambda: (libc, '1'))
  monkeypatch.setattr(threading, 'active_count', lambda: threads)
  monkeypatch.setenv('GLIBC_TUNABLES', tunables)
  memory.keep()
  assert started == []
