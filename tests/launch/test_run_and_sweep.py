"""launch/run.sh starts again after a preemption alone; launch/sweep.sh runs them one by one."""

import os
import signal
import subprocess
import time

import pytest

from tests.launch.machine import FLAGS, ROOT


@pytest.mark.parametrize('codes, restarts, ended', [
    ((0,), 9, 0), ((2,), 9, 2), ((143, 134, 0), 9, 0), ((143, 143, 143), 1, 143), ((3,), 9, 3)])
def test_run_starts_again_after_a_preemption_alone(machine, codes, restarts, ended):
  machine.codes(*codes)
  result = machine.run('run.sh', '--config=x', '--workdir=a b', CVQ_RESTARTS=str(restarts))
  assert result.returncode == ended, result.stderr
  assert machine.calls == ['-m cvq.main --config=x --workdir=a b'] * min(len(codes), restarts + 1)


def test_run_passes_a_signal_on_and_does_not_start_again(machine):
  machine.codes('wait', 0)
  process = subprocess.Popen(['bash', ROOT / 'launch' / 'run.sh', '--config=x'],
                             env=machine.environment, stderr=subprocess.PIPE)
  deadline = time.monotonic() + 60
  while 'wait' in (machine.folder / 'codes').read_text():
    assert time.monotonic() < deadline
    time.sleep(.02)
  time.sleep(.5)                                              # its trap is set
  os.kill(process.pid, signal.SIGTERM)
  process.communicate(timeout=60)
  assert process.returncode == 143 and len(machine.calls) == 1


def test_a_sweep_goes_past_a_run_that_failed(machine):
  machine.codes(2, 0, 0)
  result = machine.run('sweep.sh', '--name=s', '--seeds=0-2', '--jobs=1', *FLAGS)
  assert result.returncode == 123                             # of xargs
  assert machine.calls == [
      f'-m cvq.main --config=configs/dsprites.py --config.seed={seed} --workdir=runs/s/seed-{seed}'
      for seed in range(3)]


def test_a_sweep_takes_any_name_and_any_single_value(machine):
  machine.codes(0, 0)
  result = machine.run('sweep.sh', '--name=a b', '--vary=train.b2=.9,.99', *FLAGS)
  assert result.returncode == 0, result.stderr
  assert machine.calls == [
      f'-m cvq.main --config=configs/dsprites.py --config.train.b2={b2} --config.seed=0 '
      f'--workdir=runs/a b/train.b2-{b2}-seed-0' for b2 in ('.9', '.99')]


@pytest.mark.parametrize('arguments, part', [
    ((), 'flags of cvq.main are missing'), (('--seeds=4-0', *FLAGS), "--seeds is '4-0'"),
    (('--vary=train.batch_size', *FLAGS), '--vary is'), (('--jobs=0', *FLAGS), '--jobs is'),
    (('--vary=seed=1,2', *FLAGS), 'by --seeds=1,2'),
    (('--vary=model.encoder.widths=(8,8)', *FLAGS), '--vary is'),
    ((*FLAGS, '--workdir=x'), '--workdir is set by the sweep')])
def test_mistakes_in_a_sweep_start_nothing(machine, arguments, part):
  result = machine.run('sweep.sh', *arguments)
  assert result.returncode == 2 and part in result.stderr
  assert machine.calls == []
