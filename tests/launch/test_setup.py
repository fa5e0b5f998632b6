"""The launch scripts: what they would install, and that shellcheck finds nothing."""

import configparser
import fcntl
import hashlib
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest

from tests.launch.machine import ROOT

# Beside the interpreter, whether or not its environment is activated.
SHELLCHECK = pathlib.Path(sys.executable).parent / 'shellcheck'
SCRIPTS = [*sorted((ROOT / 'launch').glob('*.sh')), ROOT / '.ci' / 'run']


SETS = ('build', 'base', 'test', 'cuda13', 'tpu')


def sets(extras='', **environment):
  return subprocess.run(
      ['bash', '-c', f'source launch/setup.sh; locked_sets {extras}'], cwd=ROOT, text=True,
      capture_output=True, env={'PATH': '/usr/bin:/bin', **environment}, check=False)


@pytest.mark.parametrize('jax, extras, expected', [
    ('cpu', '', 'base'), ('cpu', 'test', 'base test'), ('cuda13', '', 'base cuda13'),
    ('tpu', 'test', 'base test tpu')])
def test_what_was_asked_for_is_installed(jax, extras, expected):
  assert sets(extras, CVQ_JAX=jax).stdout.strip() == expected


def test_a_tpu_machine_gets_the_tpu_set():
  assert sets(TPU_NAME='local').stdout.strip() == 'base tpu'


@pytest.mark.parametrize('vendor, device, there', [
    ('0x1ae0', '0x0063', True), ('0x1ae0', '0x0042', False), ('0x8086', '0x0063', False)])
def test_a_tpu_is_known_by_its_ids(tmp_path, vendor, device, there):
  for name, text in (('vendor', vendor), ('device', device)):
    (tmp_path / '0000:00:04.0').mkdir(exist_ok=True)
    (tmp_path / '0000:00:04.0' / name).write_text(f'{text}\n')
  found = subprocess.run(['bash', '-c', f'source launch/setup.sh; has_tpu {tmp_path}'], cwd=ROOT)
  assert (found.returncode == 0) == there


def test_a_gpu_machine_gets_the_cuda_set(tmp_path):
  (tmp_path / 'nvidia-smi').write_text('#!/bin/sh\necho "GPU 0"\n')
  (tmp_path / 'nvidia-smi').chmod(0o755)
  assert sets(PATH=f'{tmp_path}:/usr/bin:/bin').stdout.strip() == 'base cuda13'


def test_an_unknown_set_is_refused():
  result = sets(CVQ_JAX='cuda9')
  assert result.returncode == 2 and 'cpu, cuda13 or tpu' in result.stderr


@pytest.mark.parametrize('script', SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
  subprocess.run([SHELLCHECK, '-x', script], cwd=ROOT, check=True)


@pytest.mark.skipif(not shutil.which('flock'), reason='macOS has none')
def test_of_two_starts_at_once_one_sets_up(tmp_path):
  """The other waits and finds all done; what they start then does not hold the lock."""
  python = tmp_path / 'python'                         # its environments install nothing
  python.write_text('#!/bin/bash\n[[ "$2" != venv ]] || { sleep .5; mkdir -p "$3/bin"; '
                    'touch "$3/bin/activate"; ln -s "$(type -P true)" "$3/bin/python"; }')
  python.chmod(0o755)
  both = [subprocess.Popen(
      ['bash', '-c', 'source launch/setup.sh; set_up && echo READY && exec sleep 60'], cwd=ROOT,
      text=True, stdout=subprocess.PIPE, env={
          'PATH': os.environ['PATH'], 'CVQ_JAX': 'cpu', 'CVQ_PYTHON': str(python),
          'CVQ_VENV': str(tmp_path / 'some' / 'venv')}) for _ in range(2)]
  try:
    said = [list(itertools.takewhile('READY\n'.__ne__, start.stdout)) for start in both]
    assert [start.poll() for start in both] == [None, None]
    with (tmp_path / 'some' / 'venv.lock').open() as lock:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  finally:
    for start in both:
      start.kill()
      start.communicate()
  assert sum(line.startswith('Setting up') for lines in said for line in lines) == 1


def pins(path):
  """Lines name==version[; marker] of a file of requirements, in order."""
  lines = (line.removesuffix(' \\') for line in path.read_text().splitlines())
  return [line for line in lines if line and line[0] not in ' #']


def locked(name):
  return ROOT / 'launch' / 'locked' / f'{name}.txt'


def test_every_pinned_version_lies_in_its_range():
  """constraints.txt pins what setup.cfg and pyproject.toml ask for."""
  parser = configparser.ConfigParser()
  parser.read(ROOT / 'setup.cfg')
  extras = parser['options.extras_require']
  lines = '\n'.join([parser['options']['install_requires'], *(
      extras[name] for name in ('test', 'docs', 'serve', 'cuda13', 'tpu'))]).splitlines()
  wanted = [line.strip() for line in lines if line.strip() and not line.strip().startswith('#')]
  wanted += tomllib.loads((ROOT / 'pyproject.toml').read_text())['build-system']['requires']
  versions = {}
  for pin in map(Requirement, pins(ROOT / 'constraints.txt')):
    versions.setdefault(pin.name, []).append(str(pin.specifier).removeprefix('=='))
  for requirement in map(Requirement, wanted):
    if requirement.name == 'cvq':
      continue
    for version in versions[canonicalize_name(requirement.name)]:
      assert requirement.specifier.contains(version), requirement


def test_the_locked_sets_are_the_constraints_with_hashes():
  """Each pin stands in one of them, in the same version; else: bash launch/lock.sh."""
  found = list(itertools.chain.from_iterable(pins(locked(name)) for name in SETS))
  assert sorted(found) == sorted(pins(ROOT / 'constraints.txt'))
  for name in SETS:
    lines = [line for line in locked(name).read_text().splitlines() if not line.startswith('#')]
    for line, following in zip(lines, [*lines[1:], '']):
      if not line.startswith(' '):
        assert following.startswith('    --hash=sha256:'), line


def wheel(folder, name):
  """Writes a wheel without content; the line of a locked set that asks for it."""
  path = folder / f'{name}-1.0-py3-none-any.whl'
  about = f'{name}-1.0.dist-info'
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr(f'{about}/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
    file.writestr(f'{about}/WHEEL',
                  'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    file.writestr(f'{about}/RECORD', '')
  return f'{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n'


@pytest.mark.slow
def test_a_package_with_another_checksum_stops_set_up(tmp_path):
  shutil.copytree(ROOT / 'launch', tmp_path / 'launch')
  (tmp_path / 'setup.cfg').write_text('')
  for name in ('build', 'base'):
    (tmp_path / 'launch' / 'locked' / f'{name}.txt').write_text(wheel(tmp_path, f'tiny_{name}'))
  with (tmp_path / 'tiny_base-1.0-py3-none-any.whl').open('ab') as file:
    file.write(b'!')                                   # still a wheel that can be read
  result = subprocess.run(
      ['bash', '-c', 'source launch/setup.sh; set_up && echo DONE'], cwd=tmp_path, text=True,
      capture_output=True, check=False, env={
          'PATH': os.environ['PATH'], 'CVQ_JAX': 'cpu', 'CVQ_PYTHON': sys.executable,
          'PIP_CONFIG_FILE': os.devnull, 'PIP_NO_INDEX': '1', 'PIP_FIND_LINKS': str(tmp_path)})
  assert result.returncode and 'DONE' not in result.stdout
  assert 'DO NOT MATCH THE HASHES' in result.stderr and 'tiny_base' in result.stderr
  assert list((tmp_path / '.venv').rglob('tiny_build-1.0.dist-info'))
  assert not list((tmp_path / '.venv').rglob('tiny_base*'))
  assert not list((tmp_path / '.venv').glob('cvq-*'))  # the next start tries again
