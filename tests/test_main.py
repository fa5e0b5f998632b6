"""The command line: bad input ends in a message of one to three lines and exit code 2."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from cvq import main as command

ROOT = pathlib.Path(__file__).parents[1]
CONFIG = '--config=configs/dsprites.py'


def run(*arguments, **environment):
  return subprocess.run(
      [sys.executable, '-m', 'cvq.main', *arguments], cwd=ROOT, text=True, capture_output=True,
      timeout=120, env=os.environ | {'JAX_PLATFORMS': 'cpu'} | environment)


def check(result, *parts):
  assert result.returncode == 2, result.stderr
  lines = result.stderr.strip().splitlines()
  assert 1 <= len(lines) <= 3, result.stderr
  assert 'Traceback' not in result.stderr
  for part in parts:
    assert part in result.stderr, result.stderr


@pytest.mark.parametrize('arguments, parts', [
    ((), ('--config is missing', 'configs/dsprites.py')),
    (('--config=configs/dsprite.py',), ('no such file', 'configs/dsprites.py')),
    (('--config', 'configs/dsprite.py'), ('no such file', 'configs/dsprites.py')),
    ((CONFIG, '--config', '--config'), ('--config',)),
    ((CONFIG, '--config.train.steps=2147483000'), ('train.steps is 2147483000', '2,147,483,647')),
    (('--config=configs/baselines/inverse.py:shapes',), ('shapes', 'shapes3d')),
    (('--config=configs/baselines/inverse.py', '--mode=report'), ('inverse', 'evaluation.json')),
    ((CONFIG, '--config.method=inverse'), ('method is inverse', 'configs/baselines/')),
    ((CONFIG, '--config.train=5'), ('train is a group', '--config.train.')),
    ((CONFIG, '--config.train.mode_weights[9]=1'), ('train.mode_weights', '[9]')),
    ((CONFIG, "--config.dataset.fractions=(0,0,'')"), ('dataset.fractions', 'numbers')),
    ((CONFIG, '--config.dataset.fractions=(.5,.5)'), ('dataset.fractions', 'three shares')),
    ((CONFIG + ':smok',), ("Unknown preset 'smok'", 'smoke', 'paper')),
    ((CONFIG + ':paper,bath=8',), ("Unknown shorthand 'bath=8'", 'batch')),
    (('--config=configs/sprites.py', '--config.dataset.sheets=x', '--config.train.bach_size=3'),
     ('--config.train.bach_size', 'train.batch_size')),
    ((CONFIG, '--config.train.batch_size=many'), ('train.batch_size', 'many')),
    ((CONFIG, '--config.model.encoder.name=resnet'), ('model.encoder.name', 'patch', 'conv')),
    ((CONFIG, '--config.model.latent_dim=65'), ('model.latent_dim is 65', '=68')),
    ((CONFIG, '--config.train.batch_size=-3'), ('train.batch_size is -3', 'positive')),
    ((CONFIG, '--mode=evalute'), ('evalute', 'evaluate')),
    ((CONFIG, '--wrkdir=x'), ('wrkdir',)),
    ((CONFIG, '--compare=runs/a'), ('--compare', '--mode=report')),
    ((CONFIG, '--port=8001'), ('--host and --port', '--mode=serve')),
    ((CONFIG, '--mode=serve', '--port=70000'), ('port', '70000')),
    ((CONFIG, 'evaluate'), ("Unknown argument 'evaluate'",))])
def test_what_is_known_before_anything_is_loaded(arguments, parts):
  check(run(*arguments), *parts)


def test_a_config_file_that_is_not_python(tmp_path):
  (tmp_path / 'broken.py').write_text('def get_config(:\n')
  check(run(f'--config={tmp_path}/broken.py'), 'broken.py', 'line 1')
  (tmp_path / 'empty.py').write_text('')
  check(run(f'--config={tmp_path}/empty.py'), 'get_config')


@pytest.mark.parametrize('body, part', [
    ('pass', 'gives NoneType, and no config'), ('retrun', "name 'retrun' is not defined"),
    ("open('elsewhere')", "No such file or directory: 'elsewhere'")])
def test_a_config_file_that_gives_none(tmp_path, body, part):
  (tmp_path / 'other.py').write_text(f'def get_config():\n  {body}\n')
  check(run(f'--config={tmp_path}/other.py'), part)


def test_elsewhere_than_beside_configs_the_remedy_is_told(tmp_path):
  result = subprocess.run(
      [sys.executable, '-m', 'cvq.main', f'--config={ROOT}/configs/dsprites.py'], cwd=tmp_path,
      text=True, capture_output=True)
  check(result, 'configs/ is not on the path')


def test_ctrl_c_is_heard_where_a_shell_started_it_deaf():
  seen, before = [], signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    command.run(lambda argv: seen.append(signal.getsignal(signal.SIGINT)))
  finally:
    signal.signal(signal.SIGINT, before)
  assert seen == [signal.default_int_handler]


def test_jax_is_not_imported_for_a_bad_flag():
  code = ('import sys; from cvq import arguments\n'
          'try: arguments.parse(["cvq", "--config=none.py"], "")\n'
          'except arguments.UserError: print("jax" in sys.modules)')
  result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                          check=True)
  assert result.stdout.strip() == 'False'


def test_help_is_short_and_has_an_example():
  result = run('--help')
  assert result.returncode == 0
  assert 'python -m cvq.main --config=configs/dsprites.py' in result.stdout
  assert '--workdir' in result.stdout and len(result.stdout.splitlines()) < 25


@pytest.mark.slow
def test_what_needs_data_or_a_work_directory(tmp_path):
  (tmp_path / 'file').write_text('')
  check(run(CONFIG, f'--workdir={tmp_path}/file'), 'is a file')
  workdir = f'--workdir={tmp_path}/run'
  check(run(CONFIG, workdir, '--config.dataset.name=dspritez'), 'dspritez', 'dsprites')
  check(run(CONFIG, workdir, '--config.dataset.source=web'), "'web'", 'rendered')
  check(run(CONFIG, workdir, '--config.model.encoder.patch=7'), '64x64', 'patch')
  four = '--xla_force_host_platform_device_count=4'
  check(run(CONFIG, workdir, '--config.train.batch_size=6', XLA_FLAGS=four),
        'train.batch_size is 6', '4 devices', '=8')
  check(run(CONFIG, workdir, '--mode=evaluate'), 'no checkpoint', 'without --mode=evaluate')
  check(run(CONFIG, workdir, '--mode=report'), 'no checkpoint', 'without --mode=report')
  check(run(CONFIG, workdir, '--mode=report', f'--compare={tmp_path}/other'),
        'no evaluation.json')
  # None of them left anything behind that would stand in the way of a good run.
  assert not (tmp_path / 'run' / 'config.json').exists()
