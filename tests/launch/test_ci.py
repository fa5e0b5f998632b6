""".ci/run: all tests on one Python, a few on the others that are here, and a code for all."""

import subprocess

import pytest

from tests.launch.machine import ROOT

# Stands for launch/test.sh and for every interpreter.
TESTS = '''#!/usr/bin/env bash
echo "tests on $CVQ_PYTHON: $*"
[[ "$CVQ_PYTHON" != "$FAILS" ]]
'''
PYTHON = '''#!/usr/bin/env bash
if [[ "$2" == *version_info* ]]; then echo 3.12; fi
'''
# Of pyenv, for a version that is not the chosen one.
SHIM = '''#!/usr/bin/env bash
exit 127
'''


@pytest.fixture(name='checkout')
def fixture_checkout(tmp_path):
  for name, text in {
      '.ci/run': (ROOT / '.ci' / 'run').read_text(), 'launch/test.sh': TESTS,
      'bin/python3': PYTHON, 'bin/python3.11': SHIM, 'bin/python3.12': PYTHON,
      'bin/python3.13': PYTHON,
      'bin/pyenv': f'#!/usr/bin/env bash\necho {tmp_path}/pyenv\n',
      'pyenv/versions/3.11.9/bin/python': PYTHON}.items():
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
  return tmp_path


def run(checkout, fails='none'):
  return subprocess.run(
      ['bash', '.ci/run'], cwd=checkout, text=True, capture_output=True, check=False,
      env={'PATH': f'{checkout}/bin:/usr/bin:/bin', 'FAILS': fails})


def test_every_python_that_is_here_is_tested_on_and_the_others_named(checkout):
  result = run(checkout)
  assert result.returncode == 0, result.stderr
  of_default, heading, of_pyenv, _, of_path = result.stdout.splitlines()
  assert of_default == 'tests on python3: -q --durations=15'
  assert heading == 'On Python 3.11 too:'
  assert of_pyenv.startswith(f'tests on {checkout}/pyenv/versions/3.11.9/bin/python: -q -m not')
  assert of_path.startswith('tests on python3.13: -q -m not slow tests/')
  (checkout / 'bin/python3.13').write_text(SHIM)
  assert 'Python 3.13 is not here' in run(checkout).stdout


@pytest.mark.parametrize('fails', ['python3', 'python3.13'])
def test_a_failure_anywhere_fails_but_the_rest_is_run(checkout, fails):
  result = run(checkout, fails)
  assert result.returncode == 1 and result.stdout.count('tests on') == 3
