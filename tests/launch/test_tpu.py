"""launch/tpu.sh against a recorded gcloud: what it calls, and what it does when a call fails."""

import pytest

from tests.launch.machine import FLAGS

NODE, REQUEST = 'tpu-vm describe t .*state', 'queued-resources describe'
ABSENT = (1, 'ERROR: NOT_FOUND: Resource not found')
SEEN = 'tpu-vm describe t --format=value(state)'
ASKED = 'queued-resources describe t --format=value(state.state)'
MADE = 'tpu-vm create t --accelerator-type=v5litepod-8 --version=v2-alpha-tpuv5-lite'


def tpu(machine, command, *arguments, **environment):
  return machine.run('tpu.sh', command, 't', '--zone=z', '--type=v5litepod-8', '--poll=0',
                     *arguments, **environment)


def test_create_makes_what_is_not_there(machine):
  machine.answer((NODE, *ABSENT))
  assert tpu(machine, 'create').returncode == 0
  assert machine.calls == [SEEN, MADE]


def test_create_with_everything_by_the_environment(machine):
  machine.answer((NODE, *ABSENT))
  result = machine.run('tpu.sh', 'create', 't', '--spot', CVQ_ZONE='z', CVQ_TPU_TYPE='v5p-64',
                       CVQ_PROJECT='p', CVQ_TPU_VERSION='v9')
  assert result.returncode == 0
  assert machine.calls[1] == \
      'tpu-vm create t --project=p --accelerator-type=v5p-64 --spot --version=v9'


def test_create_leaves_what_is_there(machine):
  machine.answer((NODE, 0, 'READY'))
  assert 'there already' in tpu(machine, 'create').stdout
  assert machine.calls == [SEEN]


def test_create_goes_on_with_a_half_made_one(machine):
  machine.answer((NODE, 0, 'CREATING'), (NODE, 0, 'CREATING'), (NODE, 0, 'READY'))
  assert tpu(machine, 'create').returncode == 0
  assert machine.calls == [SEEN] * 3


def test_create_does_not_delete_what_was_there_before(machine):
  machine.answer((NODE, 0, 'PREEMPTED'))
  result = tpu(machine, 'create')
  assert result.returncode == 2 and 'tpu.sh delete t --zone=z' in result.stderr
  assert machine.calls == [SEEN]


def test_a_failed_creation_leaves_nothing_behind(machine):
  machine.answer((NODE, *ABSENT), ('create', 1, 'no capacity'), (REQUEST, *ABSENT),
                 (NODE, 0, 'CREATING'))
  result = tpu(machine, 'create')
  assert result.returncode == 1 and 'no capacity' in result.stderr
  assert machine.calls == [SEEN, MADE, ASKED, SEEN, 'tpu-vm delete t --quiet']


def test_a_failed_cleaning_is_said(machine):
  machine.answer((NODE, *ABSENT), ('create', 1, ''), (REQUEST, *ABSENT), (NODE, 0, 'CREATING'),
                 ('delete', 1, ''))
  result = tpu(machine, 'create')
  assert result.returncode == 1 and 'tpu.sh delete t --zone=z' in result.stderr


def test_no_permission_is_not_taken_for_no_tpu(machine):
  machine.answer((NODE, 1, 'ERROR: PERMISSION_DENIED: ask somebody'))
  result = tpu(machine, 'create')
  assert result.returncode == 2 and 'PERMISSION_DENIED' in result.stderr
  assert machine.calls == [SEEN]


def test_queued_waits_until_there_is_one(machine):
  machine.answer((NODE, *ABSENT), (REQUEST, *ABSENT), (REQUEST, 0, 'WAITING_FOR_RESOURCES'),
                 (REQUEST, 0, 'ACTIVE'), (NODE, 0, 'READY'))
  assert tpu(machine, 'create', '--queued', '--spot').returncode == 0
  assert machine.calls == [
      SEEN, ASKED, 'queued-resources create t --node-id=t --accelerator-type=v5litepod-8 --spot '
      '--runtime-version=v2-alpha-tpuv5-lite', ASKED, ASKED, SEEN]


def test_queued_clears_away_its_request_that_failed(machine):
  machine.answer((NODE, *ABSENT), (REQUEST, *ABSENT), (REQUEST, 0, 'FAILED'),
                 (REQUEST, 0, 'FAILED'), (NODE, *ABSENT))
  assert tpu(machine, 'create', '--queued').returncode == 1
  assert machine.calls[3:] == [ASKED, ASKED, 'queued-resources delete t --quiet --force', SEEN]


@pytest.mark.parametrize('flags, answers, state', [
    ((), [(NODE, 0, 'CREATING'), (NODE, 0, 'REPAIRING')], 'its state is REPAIRING'),
    (['--queued'], [(NODE, 0, 'CREATING'), (NODE, *ABSENT)], 'its state is gone'),
    (['--queued'], [(NODE, *ABSENT), (REQUEST, 0, 'ACCEPTED'), (REQUEST, 0, 'FAILED')],
     'its request is FAILED'),
    (['--queued'], [(NODE, *ABSENT), (REQUEST, *ABSENT),
                    ('create', 1, 'ALREADY_EXISTS: t')], 'its request was refused')])
def test_what_another_command_began_is_not_deleted(machine, flags, answers, state):
  machine.answer(*answers)
  result = tpu(machine, 'create', *flags)
  assert result.returncode == 2 and state in result.stderr
  assert 'tpu.sh delete t --zone=z' in result.stderr
  assert not any('delete' in line for line in machine.calls)
  assert len(machine.calls) == len(answers)


def test_a_question_that_fails_while_waiting_ends_it(machine):
  machine.answer((NODE, 0, 'CREATING'), (NODE, 1, 'ERROR: gone offline'))
  result = tpu(machine, 'create')
  assert result.returncode == 2 and 'gone offline' in result.stderr


def test_setup_copies_and_makes_the_environment(machine):
  assert tpu(machine, 'setup', '--shared=10.0.0.2:/cvq').returncode == 0
  copied, made = machine.calls
  assert copied.startswith('tpu-vm scp ') and copied.endswith('t:cvq.tar.gz --worker=all')
  assert made.startswith('tpu-vm ssh t --worker=all --command=')
  assert "mount -t nfs '10.0.0.2:/cvq' shared" in made
  assert made.endswith('source launch/setup.sh && set_up')


def test_setup_stops_where_the_copy_failed(machine):
  machine.answer(('scp', 1, 'broken pipe'))
  assert tpu(machine, 'setup').returncode == 1
  assert len(machine.calls) == 1


def test_run_on_one_host_and_on_a_slice(machine):
  machine.answer(('networkEndpoints', 0, '10.0.0.1'))
  assert tpu(machine, 'run', *FLAGS).returncode == 0
  assert 'bash launch/run.sh --config=configs/dsprites.py >> ../cvq.log' in machine.calls[1]
  assert 'CVQ_PROCESSES' not in machine.calls[1]
  machine.answer(('networkEndpoints', 0, '10.0.0.1;10.0.0.2'))
  result = tpu(machine, 'run', *FLAGS)
  assert result.returncode == 2 and '--workdir' in result.stderr and len(machine.calls) == 3
  machine.answer(('networkEndpoints', 0, '10.0.0.1;10.0.0.2'))
  assert tpu(machine, 'run', *FLAGS, '--workdir=../shared/a b').returncode == 0
  assert 'export CVQ_PROCESSES=auto CVQ_JAX=tpu' in machine.calls[4]
  assert r'--workdir=../shared/a\ b' in machine.calls[4]


def test_sweep_needs_one_host(machine):
  machine.answer(('networkEndpoints', 0, '10.0.0.1;10.0.0.2'))
  result = tpu(machine, 'sweep', *FLAGS)
  assert result.returncode == 2 and 'a sweep needs a TPU of one' in result.stderr
  assert len(machine.calls) == 1


def test_sweep_is_one_command_there(machine):
  machine.answer(('networkEndpoints', 0, '10.0.0.1'))
  assert tpu(machine, 'sweep', '--seeds=0-2', '--vary=train.batch_size=8,16', *FLAGS
             ).returncode == 0
  assert ('bash launch/sweep.sh --seeds=0-2 --vary=train.batch_size=8\\,16 -- '
          '--config=configs/dsprites.py >>') in machine.calls[1]


def test_watch_shows_the_log_to_its_end(machine):
  machine.answer((NODE, 0, 'READY'), ('ssh', 0, 'one\ncvq-goes-on'),
                 (NODE, 0, 'READY'), ('ssh', 255, 'no route'),
                 (NODE, 0, 'READY'), ('ssh', 0, 'two\nthree\ncvq-ended'))
  result = tpu(machine, 'watch', *FLAGS)
  assert result.returncode == 0 and result.stdout == 'one\ntwo\nthree\n'
  assert [line.split('sed -n ')[1].split(',')[0] for line in machine.calls if 'ssh' in line] == \
      ['1', '2', '2']


def test_watch_makes_a_preempted_one_again_and_goes_on(machine):
  machine.answer((NODE, 0, 'PREEMPTED'), (REQUEST, *ABSENT), (NODE, 0, 'PREEMPTED'),
                 (NODE, *ABSENT), ('networkEndpoints', 0, '10.0.0.1'),
                 (NODE, 0, 'READY'), ('sed -n', 0, 'cvq-ended'))
  assert tpu(machine, 'watch', *FLAGS).returncode == 0
  verbs = [' '.join(line.split()[:2]) for line in machine.calls]
  assert verbs == [
      'tpu-vm describe', 'queued-resources describe', 'tpu-vm describe', 'tpu-vm delete',
      'tpu-vm describe', 'tpu-vm create', 'tpu-vm scp', 'tpu-vm ssh', 'tpu-vm describe',
      'tpu-vm ssh', 'tpu-vm describe', 'tpu-vm ssh']


def test_watch_does_not_make_what_somebody_deleted(machine):
  machine.answer((NODE, *ABSENT), (REQUEST, *ABSENT))
  result = tpu(machine, 'watch', *FLAGS)
  assert result.returncode == 2 and 'there is no t in z' in result.stderr
  assert machine.calls == [SEEN, ASKED]


def test_watch_leaves_one_that_somebody_stopped(machine):
  machine.answer((NODE, 0, 'STOPPED'))
  result = tpu(machine, 'watch', *FLAGS)
  assert result.returncode == 2 and 'tpu-vm start t --zone=z' in result.stderr
  assert machine.calls == [SEEN]


def test_stop_and_delete(machine):
  assert tpu(machine, 'stop').returncode == 0
  assert 'kill -TERM' in machine.calls[0] and 'delete' not in machine.calls[0]
  machine.answer((REQUEST, 0, 'ACTIVE'), (NODE, *ABSENT))
  assert tpu(machine, 'delete').returncode == 0
  assert machine.calls[1:] == [ASKED, 'queued-resources delete t --quiet --force', SEEN]
  machine.answer((REQUEST, *ABSENT), (NODE, *ABSENT))
  assert 'there is no t' in tpu(machine, 'delete').stdout


@pytest.mark.parametrize('arguments, part', [
    (('make', 't'), "'make' is no command"), (('delete',), "the name '' is missing"),
    (('delete', '--zone=z'), 'not one that Google takes'), (('create', 't'), 'zone is missing'),
    (('create', 't', '--zone=z'), 'type is missing'),
    (('create', 't', '--zone='), '--zone needs a value'),
    (('run', 't', '--zone=z'), 'flags of cvq.main are missing'),
    (('create', 't', '--zon=z'), "unknown flag '--zon=z'"),
    (('setup', 't', '--zone=z', '--shared=a;b'), '--shared')])
def test_mistakes_call_nothing(machine, arguments, part):
  result = machine.run('tpu.sh', *arguments)
  assert result.returncode == 2 and part in result.stderr
  assert machine.calls == []


@pytest.mark.parametrize('command', ['create', 'setup', 'run', 'sweep', 'watch', 'stop', 'delete'])
def test_dry_run_prints_and_calls_nothing(machine, command):
  result = tpu(machine, command, '--dry-run', '--queued', *FLAGS)
  assert result.returncode == 0 and 'gcloud compute tpus' in result.stdout
  assert machine.calls == []
