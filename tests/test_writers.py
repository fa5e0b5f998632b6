"""metrics.jsonl, pictures and the line of progress."""

import json

import numpy as np
from PIL import Image

from cvq import writers


def rows(tmp_path):
  return [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]


def test_lines_are_on_disk_at_once_and_in_order(tmp_path):
  writer = writers.Writer(str(tmp_path))
  writer.scalars(1, {'train/loss': 2.})
  assert rows(tmp_path) == [{'step': 1, 'train/loss': 2.}]
  writer.scalars(2, {'train/loss': 1.})
  assert [row['step'] for row in rows(tmp_path)] == [1, 2]
  writer.close()
  assert any((tmp_path / 'tensorboard').glob('events*'))


def test_what_is_not_a_number_is_null_and_the_line_stays_json(tmp_path):
  writer = writers.Writer(str(tmp_path))
  writer.scalars(1, {'a': float('nan'), 'b': float('inf'), 'c': 1.})
  writer.close()
  assert 'NaN' not in (tmp_path / 'metrics.jsonl').read_text()
  assert rows(tmp_path) == [{'step': 1, 'a': None, 'b': None, 'c': 1.}]


def test_resuming_drops_later_and_broken_lines(tmp_path):
  writer = writers.Writer(str(tmp_path))
  for step in (1, 2, 3):
    writer.scalars(step, {'a': step})
  writer.close()
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 4, "a"')                      # killed in the middle of a line
  writer = writers.Writer(str(tmp_path), resume_step=2)
  writer.scalars(3, {'a': 30})
  writer.close()
  assert [(row['step'], row['a']) for row in rows(tmp_path)] == [(1, 1), (2, 2), (3, 30)]


def test_pictures_are_files_that_open(tmp_path):
  picture = np.random.default_rng(0).integers(0, 255, (12, 20, 3)).astype(np.uint8)
  writer = writers.Writer(str(tmp_path))
  writer.picture(40, 'masks', picture)
  writer.close()
  np.testing.assert_array_equal(Image.open(tmp_path / 'pictures' / 'masks_0000040.png'), picture)


def test_progress_without_a_terminal_says_rates_and_time_left(capsys):
  with writers.Progress(10, 4, interval=0.) as progress:
    for step in (5, 6):
      progress.update(step, examples=8, waited=0.)
    rates = progress.rates()
    progress.show({'loss': 1.5})
  assert rates['steps_per_second'] > 0
  assert np.isclose(rates['examples_per_second'] / rates['steps_per_second'], 8)
  assert 0 <= rates['waiting_for_data'] <= 1
  out = capsys.readouterr().out
  for part in ('step 6/10', 'steps/s', 'examples/s', 's left', 'loss 1.5'):
    assert part in out
  progress.show({'loss': None, 'accuracy': .5})      # a stage without that figure
  out = capsys.readouterr().out
  assert 'accuracy 0.5' in out and 'loss' not in out


def test_only_the_first_process_speaks_and_writes(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(writers.parallel, 'first', lambda: False)
  writer = writers.Writer(str(tmp_path))
  writer.scalars(1, {'a': 1.})
  writer.close()
  with writers.Progress(1, interval=0.) as progress:
    progress.update(1, examples=8, waited=0.)
    progress.show({'loss': 1.5})
  assert not list(tmp_path.iterdir())
  captured = capsys.readouterr()
  assert not captured.out + captured.err
