"""Several processes on loopback: they train as one does, stop together, and go on as any number."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest

from cvq import checkpoints, parallel, session, stored_config, train
from cvq.data import datasets, pipeline
from cvq.errors import UserError
from tests import recorded, tiny

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize('environment, expected', [
    ({}, None),
    ({'CVQ_COORDINATOR': 'a:1', 'CVQ_PROCESS': '0', 'CVQ_PROCESSES': '1'}, None),
    ({'TPU_WORKER_HOSTNAMES': 'localhost'}, None),
    ({'TPU_WORKER_HOSTNAMES': 'a,b'}, {}),
    ({'CVQ_PROCESSES': 'auto'}, {}),
    ({'CVQ_COORDINATOR': '[::1]:80', 'CVQ_PROCESS': '1', 'CVQ_PROCESSES': '2'},
     {'coordinator_address': '[::1]:80', 'process_id': 1, 'num_processes': 2,
      'cluster_detection_method': 'deactivate'})])
def test_the_environment_says_who_takes_part(environment, expected):
  assert parallel.cluster(environment) == expected


@pytest.mark.parametrize('changed, part', [
    ({'CVQ_PROCESS': ''}, 'CVQ_PROCESS must be set'),
    ({'CVQ_COORDINATOR': '', 'CVQ_PROCESS': ''}, 'CVQ_COORDINATOR and CVQ_PROCESS must'),
    ({'CVQ_COORDINATOR': 'host'}, 'HOST:PORT'), ({'CVQ_PROCESS': '2'}, 'expected 0 to 1'),
    ({'CVQ_PROCESSES': 'two'}, "'two'; expected a whole number")])
def test_half_an_environment_is_refused(changed, part):
  whole = {'CVQ_COORDINATOR': 'host:1', 'CVQ_PROCESS': '1', 'CVQ_PROCESSES': '2'}
  with pytest.raises(UserError, match=part):
    parallel.cluster(whole | changed)


def launch(module, *arguments, processes=2, devices=2, **environment):
  """Starts a module in several processes: a list of Popen."""
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  shared = os.environ | {
      'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1', 'CVQ_HEARTBEAT': '20',
      'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}', **environment}
  together = [{} if processes == 1 else {
      'CVQ_COORDINATOR': f'127.0.0.1:{port}', 'CVQ_PROCESS': str(i),
      'CVQ_PROCESSES': str(processes)} for i in range(processes)]
  return [subprocess.Popen([sys.executable, '-m', module, *map(str, arguments)], cwd=ROOT,
                           env=shared | own, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE) for own in together]


def finish(started, *codes):
  """Output and error output of each; checks the exit codes."""
  try:
    said = [process.communicate(timeout=400) for process in started]
  finally:
    for process in started:
      process.kill()
  assert [process.returncode for process in started] == list(codes), \
      '\n'.join(out[-2000:] + err[:6000] + err[-2000:] for out, err in said)
  return said


@pytest.mark.slow
def test_what_they_share_and_refuse(tmp_path):
  said = finish(launch('tests.together', tmp_path, devices=1), 0, 0)
  results = [json.loads(out.splitlines()[-1]) for out, _ in said]
  for result in results:
    assert result['exact'] and result['text'] == 'zero: ü'
    assert result['everywhere'] == [False, True]
    assert 'Process 1 was given another config' in result['another_config']
    assert 'process 1 does not see what process 0 writes' in result['another_folder']
    assert result['left'] == []
    assert 'is in use' in result['held']
    assert result['empty'] == []
    assert result['newest'] == [2, {'next': 2}, 10.]
    assert result['fallback'] == [1, {'next': 1}, 5.]
    assert 'No checkpoint' in result['all_damaged']
  assert (tmp_path / 'damaged' / '2').is_dir()


def train_in(workdir, **kwargs):
  record = workdir.parent / f'{workdir.name}-record'
  record.mkdir(exist_ok=True)
  return launch(                # what one of them compiles, the next that is like it reads back
      'tests.recorded', '--config=tests/tiny.py', f'--workdir={workdir}', RECORD=str(record),
      JAX_COMPILATION_CACHE_DIR=str(workdir.parent / 'cache'),
      JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS='0', **kwargs)


def batches(workdir):
  """Every line that the processes noted, each once."""
  record = workdir.parent / f'{workdir.name}-record'
  return {line for path in record.iterdir() for line in path.read_text().splitlines()}


def figures(workdir):
  """All that a finished run computed, by step and name: its log, and the evaluation of its end."""
  rows = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  found = {(row['step'], name): value for row in rows for name, value in row.items()
           if name.startswith(('train/', 'validation/'))}
  evaluation = json.loads((workdir / 'evaluation.json').read_text())
  for part in ('retrieval', 'intervention', 'reconstruction'):
    found |= {(evaluation['step'], f'{part} {name}'): value
              for name, value in evaluation[part].items() if isinstance(value, float)}
  return found


def last_state(workdir):
  config = tiny.get_config()
  store = checkpoints.Checkpoints(str(workdir), keep_last=config.checkpoint.keep_last,
                                  keep_best=config.checkpoint.keep_best)
  with jax.enable_x64(True):
    restored = store.restore(recorded.in_float64(session.open_run(config).state))
  store.close()
  return restored.state


def assert_same(workdir, whole, resumed):
  """A run that went on from step `resumed` and one that never stopped: equal but for the order of
  sums. A line of the log is a mean over the steps since the one before it, or since the start; so
  those of training are compared from where they are over the same steps in both."""
  ours, theirs = ({at: value for at, value in figures(run).items()
                   if not at[1].startswith('train/')
                   or at[0] >= resumed + tiny.get_config().log.every} for run in (workdir, whole))
  assert ours.keys() == theirs.keys()
  assert any(name.startswith('train/') for _, name in ours)
  for at, value in theirs.items():
    np.testing.assert_allclose(ours[at], value, rtol=1e-9, atol=1e-12, err_msg=str(at))
  chex.assert_trees_all_close(last_state(workdir), last_state(whole), rtol=1e-9, atol=1e-9)


def newest(workdir):
  return max(int(p.name) for p in (workdir / 'checkpoints').iterdir() if p.name.isdigit())


@pytest.mark.slow
def test_two_by_two_struck_twice_trains_like_one_process(tmp_path):
  both, four, one = tmp_path / 'both', tmp_path / 'four', tmp_path / 'one'

  # One is told to stop: both stop, after the same step, with the code that launchers restart on.
  said = finish(train_in(both, STRIKE=f'1 3 {signal.SIGTERM}'), 143, 143)
  stopped = newest(both)
  assert 3 < stopped < 20
  for _, err in said:
    assert f'Stopped by SIGTERM at step {stopped}' in err and 'Traceback' not in err
  for suffix in ('', '-record'):
    shutil.copytree(tmp_path / f'both{suffix}', tmp_path / f'four{suffix}')

  # One dies: the other does not wait for ever, and says why.
  said = finish(train_in(both, STRIKE=f'1 18 {signal.SIGKILL}'), -signal.SIGABRT, -signal.SIGKILL)
  assert 'another task died' in said[0][1]
  kept = newest(both)
  assert stopped <= kept < 20

  # The same command goes on to the end; so does one process with four devices. Both end where one
  # process with one device does.
  finish(train_in(both), 0, 0)
  finish(train_in(four, processes=1, devices=4) + train_in(one, processes=1, devices=1), 0, 0)
  for workdir, resumed in ((both, kept), (four, stopped)):
    assert_same(workdir, one, resumed)
    assert not any(workdir.glob('.shared*'))

  # Every step took the examples that one process draws, each process its own part.
  config = tiny.get_config()
  dataset = datasets.load_dataset(config.dataset)
  expected = set()
  for stage, seed in (('pretrain', config.seed + 1_000_003), ('train', config.seed),
                      ('train_global', config.seed + 2_000_006)):
    part = config[stage]
    source = lambda batch_size: pipeline.TrainingBatches(
        dataset, config.dataset, split='train', batch_size=batch_size,
        targets=part.get('targets', 1), seed=seed, process_index=0, process_count=1)
    drawn = source(part.batch_size)
    for step in range(part.steps):
      expected |= set(recorded.lines(seed, step, drawn[step]))
  # The last seed's, once more: by these the codes of the global level are placed.
  expected |= set(recorded.lines(seed, 0, source(train.FITTED)[0]))
  assert batches(both) == batches(four) == expected
  assert stored_config.to_json(config) == json.loads((both / 'config.json').read_text())
