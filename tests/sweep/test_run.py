"""The sweep runs what is missing, goes on where it stopped, and tells of failures."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import sys
import threading
import time

import pytest

from cvq.errors import UserError
from cvq.sweep import cells, run
from cvq.sweep.cells import Cell

PYTHON = (sys.executable, '-S', str(pathlib.Path(__file__).with_name('fake.py')))
GOOD, OTHER = Cell('good', 'good', (('train.steps', 3),), 1), Cell('other', 'good')


@pytest.fixture(name='sweep')
def fixture_sweep(tmp_path):
  """sweep(wanted, parallel) -> (failed, lines told); .results, .runs, .calls(cell), .status."""
  class Sweep:
    results, runs = tmp_path / 'results', tmp_path / 'runs'

    def __call__(self, wanted, parallel=1):
      told = []
      runner = run.Runner(self.results, self.runs, told.append, PYTHON)
      return runner.run(wanted, parallel), told

    def calls(self, cell):
      path = self.runs / cell.name / 'calls'
      return path.read_text().splitlines() if path.exists() else []

    def status(self, cell, *measurements):
      return cells.status(cell, set(measurements), self.results, self.runs)
  return Sweep()


def test_finished_cells_hold_all_that_repeats_them_and_are_not_run_again(sweep):
  assert sweep.status(GOOD) == 'missing'
  failed, _ = sweep({GOOD: {'score'}})
  assert failed == []
  found = json.loads((sweep.results / 'good.json').read_text())
  assert found['command'] == ('python -m cvq.main --config=good --config.train.steps=3 '
                              f'--config.seed=1 --workdir={sweep.runs}/good')
  assert found['evaluation'] == {'retrieval': {'directed': .5}} and found['seed'] == 1
  assert found['fields'] == {'train.steps': 3} and found['score'] == {'score': .5}
  assert found['training_seconds'] == 90 and found['revision'] == 'abc' and found['machine']
  assert found.keys() == run.OF_TRAINING | {'score'}
  assert sweep.status(GOOD, 'score') == 'finished'
  failed, told = sweep({GOOD: {'score'}})
  assert failed == [] and told == ['good: finished before']
  assert sweep.calls(GOOD) == ['cvq.main ', 'cvq.sweep.measure score']


def test_a_further_measurement_does_not_train_again(sweep):
  sweep({GOOD: set()})
  assert sweep.status(GOOD, 'one', 'two') == 'partly measured'
  sweep({GOOD: {'one'}})
  (sweep.runs / 'good' / 'evaluation.json').write_text('{"of": "another split"}')
  sweep({GOOD: {'one', 'two'}})
  assert sweep.calls(GOOD) == ['cvq.main ', 'cvq.sweep.measure ', 'cvq.sweep.measure one',
                               'cvq.sweep.measure two']
  found = json.loads((sweep.results / 'good.json').read_text())
  assert {'one', 'two'} <= found.keys()
  assert found['revision'] == 'abc' and found['evaluation'] == {'retrieval': {'directed': .5}}
  assert found['later'] == {'one': 'abc', 'two': 'later'}


def test_measurements_of_another_training_are_made_anew(sweep):
  sweep({GOOD: {'one'}})
  shutil.rmtree(sweep.runs / 'good' / 'checkpoints')
  (sweep.runs / 'good' / 'checkpoints' / '1').mkdir(parents=True)
  (sweep.runs / 'good' / '.anew').touch()              # a run of its own that was broken off
  sweep({GOOD: {'two'}})
  assert sweep.calls(GOOD)[-2:] == ['cvq.main ', 'cvq.sweep.measure one,two']
  assert sweep.status(GOOD, 'one', 'two') == 'finished'


def test_a_failing_cell_is_told_and_the_others_go_on(sweep):
  bad = Cell('worst', 'bad')
  failed, told = sweep({bad: set(), GOOD: set()})
  assert failed == ['worst']
  assert sweep.status(GOOD) == 'finished' and sweep.status(bad) == 'missing'
  [line] = [line for line in told if 'FAILED' in line]
  assert 'cvq: config is bad. / Take a good one. (exit code 2' in line
  assert str(sweep.runs / 'worst' / 'sweep.log') in line


def test_an_interrupted_cell_is_unfinished_and_goes_on(sweep):
  slow, never = Cell('slow', 'slow'), Cell('never', 'good')

  def interrupt():
    deadline = time.monotonic() + 60
    while not (sweep.runs / 'slow' / 'waiting').exists() and time.monotonic() < deadline:
      time.sleep(.01)
    os.kill(os.getpid(), signal.SIGINT)
  start = time.monotonic()
  before = signal.signal(signal.SIGINT, signal.default_int_handler)   # ignored in background jobs
  try:
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
      sweep({slow: set(), never: set()})
  finally:
    signal.signal(signal.SIGINT, before)
  assert time.monotonic() - start < 59                 # the child was stopped, not waited for
  assert sweep.status(slow) == 'unfinished'
  assert sweep.calls(never) == [] and not (sweep.results / 'slow.json').exists()
  failed, told = sweep({slow: set(), never: set()}, 2)
  assert failed == [] and 'slow: goes on' in told and 'never: starts' in told
  assert sweep.status(slow) == sweep.status(never) == 'finished'


def test_a_cell_that_another_sweep_runs_is_left_to_it(sweep):
  (sweep.runs / 'good').mkdir(parents=True)
  with open(sweep.runs / 'good' / '.sweep', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    failed, told = sweep({GOOD: set(), OTHER: set()})
  assert failed == ['good'] and sweep.calls(GOOD) == []
  assert 'Another sweep is running it' in ''.join(told)
  assert sweep.status(OTHER) == 'finished'


def test_a_result_of_another_command_is_not_taken_for_this_cell(sweep):
  sweep({GOOD: set()})
  changed = Cell('good', 'good', (('train.steps', 4),), 1)
  assert sweep.status(changed) == 'of another command'
  failed, told = sweep({changed: set()})
  assert failed == ['good'] and 'away to measure the cell anew' in ''.join(told)
  assert len(sweep.calls(GOOD)) == 2


def test_a_damaged_result_is_told(sweep):
  sweep({GOOD: set()})
  for content in ('{', '{"evaluation": {}}', '[]'):
    (sweep.results / 'good.json').write_text(content)
    with pytest.raises(UserError, match='Move it away'):
      sweep.status(GOOD)
