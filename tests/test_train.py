"""Whole runs in subprocesses: a smoke run, signals, divergence. Kills: tests/reliability."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from cvq import train
from cvq.errors import Diverged, Interrupted, UserError
from tests import small

ROOT = pathlib.Path(__file__).parents[1]
FIELDS = {
    'retrieval': {'directed', 'factor', 'per_factor', 'per_action', 'chance', 'majority_directed',
                  'majority_factor', 'pairs'},
    'intervention': {'mse', 'psnr', 'ssim', 'copy_mse', 'reconstruction_mse'},
    'reconstruction': {'mse', 'psnr', 'ssim'},
    'codes': {'variables', 'changed_per_step', 'usage', 'perplexity'},
    'global_level': {'variables', 'changed_per_step', 'moved', 'stayed', 'moved_per_factor'}}


def start(workdir, *arguments, config='tests/tiny.py'):
  # Toy runs compile quickly; the preset that must learn runs as it is.
  environment = os.environ | {
      'JAX_DISABLE_MOST_OPTIMIZATIONS': str(int(not config.endswith(':smoke'))),
      'XLA_FLAGS': '--xla_force_host_platform_device_count=1', 'JAX_PLATFORMS': 'cpu'}
  return subprocess.Popen(
      [sys.executable, '-m', 'cvq.main', f'--config={config}', f'--workdir={workdir}', *arguments],
      cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, code=0):
  out, err = process.communicate(timeout=900)          # what takes longer hangs, on any machine
  assert process.returncode == code, f'{process.returncode}\n{out[-2000:]}\n{err[-4000:]}'
  return out, err


def lines(workdir):
  return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


@pytest.mark.slow
def test_a_signal_saves_and_what_goes_on_must_be_the_same(tmp_path):
  """It going on, also on four devices: tests/test_processes.py."""
  process = start(tmp_path, '--config.train.steps=100000')
  deadline = time.monotonic() + 200
  while not (tmp_path / 'checkpoints' / '5').exists():
    assert process.poll() is None and time.monotonic() < deadline, process.communicate()
    time.sleep(.05)
  process.send_signal(signal.SIGTERM)
  out, err = process.communicate(timeout=100)
  assert process.returncode == 128 + signal.SIGTERM, (out, err)
  assert 'Traceback' not in err and 'same command' in out + err
  saved = max(int(p.name) for p in (tmp_path / 'checkpoints').iterdir() if p.name.isdigit())
  assert lines(tmp_path)[-1]['step'] == saved
  # Another length is another config: refused, with the difference.
  _, err = finish(start(tmp_path), code=2)
  assert 'train.steps' in err and '100000' in err and 'Traceback' not in err


@pytest.mark.slow
def test_smoke_preset_runs_and_learns(tmp_path):
  out, _ = finish(start(tmp_path, config='configs/dsprites.py:smoke'))
  evaluation = json.loads((tmp_path / 'evaluation.json').read_text())
  for part, names in FIELDS.items():
    assert names <= set(evaluation[part]), part
  assert {'dataset', 'split', 'step', 'seed', 'seconds', 'version'} <= set(evaluation)
  assert evaluation['retrieval']['pairs'] == 512
  rows = lines(tmp_path)
  first, *_, last = [row for row in rows if 'train/reconstruction' in row]
  assert last['train/reconstruction'] < .3 * first['train/reconstruction']
  assert last['train/retrieval'] < .8 * np.log(10)
  first, *_, last = [row for row in rows if 'train/global_own' in row]
  assert last['train/global_own'] < .8 * first['train/global_own']
  # Well above chance (.1): three standard errors of 512 pairs are .04.
  assert evaluation['retrieval']['directed'] > .2
  assert evaluation['reconstruction']['mse'] < evaluation['intervention']['copy_mse']
  assert 'retrieval of the action' in out
  assert f'configs/dsprites.py:smoke --workdir={tmp_path} --mode=report' in out
  assert sorted(p.suffix for p in (tmp_path / 'pictures').iterdir())[0] == '.png'
  assert any((tmp_path / 'tensorboard').glob('events*'))


@pytest.mark.slow
def test_paper_preset_runs_both_stages(tmp_path):
  finish(start(
      tmp_path, '--config.pretrain.steps=4', '--config.pretrain.batch_size=4',
      '--config.pretrain.decay_every=2', '--config.train.decay_every=2',
      '--config.model.encoder.widths=(8,8,16)', '--config.model.decoder.widths=(16,8,8)',
      '--config.model.encoder.residual_blocks=1', '--config.model.decoder.residual_blocks=1',
      '--config.model.latent_dim=16', '--config.model.transition.edge_hidden=8',
      '--config.model.transition.hidden=4', '--config.evaluation.examples=8',
      '--config.evaluation.during=8', '--config.evaluation.batch_size=4', '--config.log.every=1',
      config='configs/dsprites.py:paper,batch=2,steps=8'))
  rows = lines(tmp_path)
  terms = {name for row in rows for name in row}
  assert {'train/base_graph', 'train/action_nll', 'train/retrieval', 'train/edge_kl'} <= terms
  assert json.loads((tmp_path / 'evaluation.json').read_text())['step'] == 12


def test_alternating_modes_keep_their_proportion():
  c = small.paper_config(train__mode_weights=(6., 3., 1.), train__steps=4000)
  assert [train.mode_of(c, step) for step in range(2)] == ['reconstruction'] * 2
  drawn = [train.mode_of(c, step) for step in range(2, 3002)]
  assert drawn == [train.mode_of(c, step) for step in range(2, 3002)]
  share = {mode: drawn.count(mode) / 3000 for mode in train.ALTERNATE}
  np.testing.assert_allclose([share[m] for m in train.ALTERNATE], [.6, .3, .1], atol=.03)
  assert train.mode_of(small.config(), 2) == 'mixed'


def test_alternatives_part_after_their_share_of_the_steps():
  c = small.config(model__transition__alternatives=2, train__steps=10, train__split_at=.3)
  modes = [train.mode_of(c, step) for step in range(2, 13)]
  assert modes == 3 * ['single'] + 7 * ['mixed'] + ['global']
  c.model.transition.name = 'graph'                    # which has none
  assert train.mode_of(c, 2) == 'mixed'


def test_divergence_names_step_term_and_checkpoint():
  fine = {'loss': 1., 'retrieval': .5}
  train.check_finite(fine, 3, None)
  with pytest.raises(Diverged, match='Step 7: retrieval is not finite.*step 5'):
    train.check_finite({'loss': float('nan'), 'retrieval': float('inf')}, 7, 5)


def test_divergence_that_another_process_met_closes_the_run_here_too(tmp_path, monkeypatch):
  """Process 0 closes its own, and would wait for this one."""
  told, closed = UserError('Step 7: params/w is not finite.'), []
  told.code = Diverged.code                            # see cvq.checkpoints

  def run():
    raise told
  loop = types.SimpleNamespace(run=run, close=lambda: closed.append(True))
  monkeypatch.setattr(train, 'Loop', lambda *_: loop)
  with pytest.raises(UserError, match='Step 7'):
    train.train(small.config(), str(tmp_path))
  assert closed


def test_a_signal_while_the_last_step_is_saved_stops_the_run(monkeypatch):
  loop = object.__new__(train.Loop)
  loop.config, loop.workdir, loop.step, loop.total = small.config(), 'runs/x', 1, 2
  done = []
  for name in ('_log', '_validate', '_draw', 'close'):
    monkeypatch.setattr(loop, name, lambda *_, name=name: done.append(name))
  monkeypatch.setattr(loop, '_train_one', lambda _: setattr(loop, 'step', loop.step + 1))
  monkeypatch.setattr(loop, '_fit_lattice', lambda: None)
  monkeypatch.setattr(loop, '_save', lambda: os.kill(os.getpid(), signal.SIGTERM))
  with pytest.raises(Interrupted, match='Stopped by SIGTERM at step 2'):
    loop.run()
  assert done == ['_log', '_validate', '_draw', 'close']
