"""launch/slurm.sh and its job against recorded commands of Slurm."""

import subprocess

import pytest

from tests.launch.machine import FLAGS, ROOT

OPTIONS = ('--job-name=n --nodes=2 --ntasks-per-node=1 --cpus-per-task=4 --time=1:00:00 --requeue '
           f'--open-mode=append --chdir={ROOT} --signal=TERM@90 --gpus-per-node=8')


def slurm(machine, *arguments):
  return machine.run('slurm.sh', '--name=n', '--nodes=2', '--gpus=8', '--cpus=4', '--time=1:00:00',
                     '--dry-run', *arguments)


def test_slurm_submits_a_run_or_an_array(machine):
  result = slurm(machine, '--partition=p', *FLAGS)
  assert result.stdout.splitlines()[-1].split() == (
      f'sbatch {OPTIONS} --output={ROOT}/runs/n/slurm-%j.log --partition=p '
      f'{ROOT}/launch/slurm_job.sh --config=configs/dsprites.py').split()
  result = slurm(machine, '--seeds=0,3', '--vary=train.steps=1,2', '--at-once=2', *FLAGS)
  lines = result.stdout.splitlines()
  assert lines[-5:-1] == [
      f'--config=configs/dsprites.py --config.train.steps={steps} --config.seed={seed} '
      f'--workdir=runs/n/train.steps-{steps}-seed-{seed}' for seed in (0, 3) for steps in (1, 2)]
  assert f'--array=1-4%2 --output={ROOT}/runs/n/slurm-%A-%a.log' in lines[-1]
  assert machine.calls == []


@pytest.mark.parametrize('flags, part', [
    (['--vary=train.steps=1,2'], '--vary needs --seeds'), (['--seeds=4-0'], "--seeds is '4-0'")])
def test_slurm_refuses_before_it_sets_up(machine, flags, part):
  result = slurm(machine, *flags, *FLAGS)
  assert result.returncode == 2 and part in result.stderr and result.stdout == ''


def test_slurm_really_submits(machine, tmp_path):
  machine.answer(('sbatch', 1, 'sbatch: error: Batch job submission failed'))
  (tmp_path / 'launch').mkdir()
  for path in (ROOT / 'launch').glob('*.sh'):
    (tmp_path / 'launch' / path.name).write_text(path.read_text())
  (tmp_path / 'launch' / 'locked').mkdir()
  for name in ('setup.cfg', 'launch/locked/build.txt', 'launch/locked/base.txt'):
    (tmp_path / name).write_text('')
  command = ['bash', tmp_path / 'launch' / 'slurm.sh', '--gpus=0', '--seeds=0-1', *FLAGS]
  run = lambda *more: subprocess.run(
      [*command, *more], env=machine.environment, text=True, capture_output=True, check=False)
  result = run()
  assert result.returncode == 1 and 'submission failed' in result.stderr
  assert run().returncode == 0                                  # the same again
  assert '--array=1-2 ' in machine.calls[1] and '--gpus' not in machine.calls[1]
  assert len((tmp_path / 'runs' / 'cvq' / 'sweep.txt').read_text().splitlines()) == 2
  result = run('--config.train.steps=3')
  assert result.returncode == 2 and 'another sweep' in result.stderr


JOB = {'SLURM_JOB_ID': '7', 'SLURM_JOB_NODELIST': 'n[1-2]'}


@pytest.mark.parametrize('code, state, environment, requeued', [
    (0, 'RUNNING', {}, None), (2, 'RUNNING', {}, None), (143, 'RUNNING', {}, '7'),
    (134, 'RUNNING', {}, '7'), (137, 'RUNNING', {}, None), (143, 'CANCELLED', {}, None),
    (143, 'RUNNING', {'SLURM_RESTART_COUNT': '100'}, None),
    (143, 'RUNNING', {'SLURM_ARRAY_JOB_ID': '5', 'SLURM_ARRAY_TASK_ID': '2'}, '5_2')])
def test_slurm_job_is_queued_again_where_that_helps(machine, code, state, environment, requeued):
  machine.answer(('hostnames', 0, 'n1\nn2'), ('srun', code, ''),
                 ('show job', 0, f'JobId=7 JobState={state} Reason=None'))
  result = machine.run('slurm_job.sh', '--config=x', **JOB, **environment)
  assert result.returncode == code
  assert machine.calls[1].endswith('cvq --config=x')
  again = [line for line in machine.calls if 'requeue' in line]
  assert again == ([f'scontrol requeue {requeued}'] if requeued else [])


def test_slurm_processes_learn_who_they_are(machine, tmp_path):
  machine.install('srun', '#!/usr/bin/env bash\nshift\nSLURM_PROCID=1 SLURM_NTASKS=2 "$@"\n')
  machine.answer(('hostnames', 0, 'n1\nn2'))
  (tmp_path / 'launch').mkdir()
  (tmp_path / 'launch' / 'run.sh').write_text(
      'echo "$CVQ_COORDINATOR $CVQ_PROCESS $CVQ_PROCESSES $CVQ_RESTARTS $SRUN_CPUS_PER_TASK|$1|$2"')
  (tmp_path / 'list').write_text('--a=1\n--config=x --b=c\\ d\n')
  result = subprocess.run(
      ['bash', ROOT / 'launch' / 'slurm_job.sh', f'--sweep-list={tmp_path}/list'], cwd=tmp_path,
      env=machine.environment | JOB | {'SLURM_ARRAY_TASK_ID': '2', 'SLURM_CPUS_PER_TASK': '6'},
      text=True,
      capture_output=True, check=True)
  assert result.stdout == 'n1:20007 1 2 0 6|--config=x|--b=c d\n'
