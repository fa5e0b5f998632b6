"""The table of parts adds up, and a run's own log is read."""

import pytest

from benchmarks import default_step as benchmark


def test_trunk_and_branches_are_told_apart_and_all_adds_up():
  ms = benchmark.split({'whole step': 100., 'encoder': 20., 'one hypothesis': 13.,
                        'all hypotheses': 40.})
  assert ms['transition, shared trunk'] == pytest.approx(10.)
  assert ms['transition, 10 branches'] == pytest.approx(30.)
  assert ms['between the parts'] == pytest.approx(40.)
  assert sum(ms.values()) == pytest.approx(200.)


def test_a_run_tells_its_own_times(tiny_run):
  rows = benchmark.of_run(str(tiny_run))
  assert [row['part'].split(' (')[0] for row in rows] == [
      'a run: 20 steps', 'a run: of them waiting for data', 'a run: evaluation at its end']
  training, waiting, evaluation = (float(row['ms']) for row in rows)
  assert 0 <= waiting < training and evaluation > 0
