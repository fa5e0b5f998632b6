"""The start-up benchmark reads a log that is being written."""

from benchmarks import start_up


def test_steps_in_the_log(tmp_path):
  log = tmp_path / 'metrics.jsonl'
  assert start_up.lines(log) == []
  log.write_text('{"step": 1}\n{"step": 2}\n{"st')       # a line that is being written
  assert start_up.lines(log) == [1, 2]
