"""The start-up benchmark reads a log that is being written, and says why a start failed."""

import sys

import pytest

from benchmarks import start_up
from cvq.data import datasets


def test_steps_in_the_log(tmp_path):
  log = tmp_path / 'metrics.jsonl'
  assert start_up.lines(log) == []
  log.write_text('{"step": 1}\n{"step": 2}\n{"st')       # a line that is being written
  assert start_up.lines(log) == [1, 2]


def test_a_start_without_a_step_is_ended_at_the_limit(tmp_path, monkeypatch):
  endless = tmp_path / 'python'
  endless.write_text('#!/bin/sh\nexec sleep 60\n')
  endless.chmod(0o755)
  monkeypatch.setattr(sys, 'executable', str(endless))
  monkeypatch.setattr(start_up, 'LIMIT', 0.)
  begin = start_up.time.perf_counter()
  with pytest.raises(RuntimeError, match='No step was made'):
    start_up.start('configs/dsprites.py', tmp_path / 'run', tmp_path / 'compiled')
  assert start_up.time.perf_counter() - begin < 30


def test_data_is_prepared_of_a_config_with_a_preset(monkeypatch):
  prepared = []
  monkeypatch.setattr(datasets, 'load_dataset', prepared.append)
  exec(start_up.preparation('configs/dsprites.py:smoke'), {})    # pylint: disable=exec-used
  assert [config.name for config in prepared] == ['dsprites']
