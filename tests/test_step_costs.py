"""What a training step must not cost: compilation again, transfers, a second copy of the state."""

import json

import jax
import numpy as np
import pytest

from cvq import parallel, train, writers
from tests import tiny

COMPILED = '/jax/core/compile/backend_compile_duration'      # also of programs from the disk


@pytest.fixture(name='run', scope='module')
def fixture_run(tmp_path_factory):
  """(loop after its last step, programs compiled in each step, work directory), traced."""
  config = tiny.get_config('steps=12')
  config.log.trace = 2
  workdir = tmp_path_factory.mktemp('costs')
  loop = train.Loop(config, str(workdir))
  compiled = [0] * loop.total

  def listen(event, _, **__):
    if event == COMPILED:
      compiled[loop.step] += 1

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    with writers.Progress(loop.total) as progress:
      while loop.step < loop.total:
        loop._train_one(progress)                            # pylint: disable=protected-access
      loop._log(progress)                                    # pylint: disable=protected-access
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  yield loop, compiled, workdir
  loop.close()


def test_nothing_is_compiled_after_the_second_step_of_a_stage(run):
  loop, compiled, _ = run
  c = loop.config
  starts = 0, c.pretrain.steps, c.pretrain.steps + c.train.steps
  for start, end in zip(starts, (*starts[1:], loop.total)):
    assert end - start > 2 and compiled[start] and not any(compiled[start + 2:end]), compiled


def on_devices(loop):
  """A training batch where the step takes it."""
  return jax.device_put(parallel.shard(next(loop.iterators['train'])))


def test_the_step_moves_nothing_between_host_and_device(run):
  loop, _, _ = run
  step, batch = loop.train_steps['mixed'], on_devices(loop)
  loop.state, _ = step(loop.state, batch)
  with jax.transfer_guard('disallow'):
    loop.state, scalars = step(loop.state, batch)
    jax.block_until_ready(scalars)
    with pytest.raises(Exception, match='[Dd]isallowed'):    # the guard sees what it should
      step(loop.state, parallel.shard(next(loop.iterators['train'])))
  assert 'callback' not in step.lower(loop.state, batch).as_text()


def test_the_state_is_given_up_to_the_step(run):
  loop, _, _ = run
  old = loop.state
  loop.state, _ = loop.train_steps['mixed'](old, on_devices(loop))
  assert all(x.is_deleted() for x in jax.tree.leaves((old.params, old.opt_state)))
  assert np.isfinite(jax.device_get(loop.state.params['log_temperature']))


def test_the_log_says_what_share_was_spent_waiting_for_data(run):
  rows = [json.loads(line) for line in (run[2] / 'metrics.jsonl').read_text().splitlines()]
  assert 0 < rows[-1]['waiting_for_data'] < 1


def test_the_trace_holds_the_steps_that_were_asked_for(run):
  path, = (run[2] / 'tensorboard').glob('plugins/profile/*/*.xplane.pb')
  trace = jax.profiler.ProfileData.from_file(str(path))
  steps = {stat for plane in trace.planes for line in plane.lines for event in line.events
           if event.name == 'train_step' for name, stat in event.stats if name == 'step_num'}
  first = run[0].config.pretrain.steps + 10
  assert steps == {first, first + 1}
