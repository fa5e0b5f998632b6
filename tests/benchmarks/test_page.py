"""Rounds, tables, and the page that is made of them."""

import itertools
import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks import common, page

ROOT = pathlib.Path(__file__).parents[2]


def test_versions_take_turns_after_a_first_call_of_each(monkeypatch):
  clock = itertools.count()
  monkeypatch.setattr(common.time, 'perf_counter', lambda: next(clock))
  called = []
  times = common.in_turn({name: lambda name=name: called.append(name) for name in 'ab'}, 3)
  assert called == list('ab' + 'ab' * 3)
  assert times == {'a': [1, 1, 1], 'b': [1, 1, 1]}


def test_ratios_are_taken_within_rounds():
  # Both twice as slow in the second round: the peer always takes three times as long.
  assert common.times_faster([1., 2., 1.], [3., 6., 3.]) == '3.00 / 3.00 / 3.00'
  assert common.times_faster([1., 1., 1.], [4., 2., .5]) == '0.50 / 2.00 / 4.00'


def test_peak_memory_counts_what_has_been_given_back():
  code = ('from benchmarks import common; before = common.peak_gb(); block = b"x" * int(2e8); '
          'del block; print(common.peak_gb() - before)')
  done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                        check=True)
  assert .15 < float(done.stdout) < .25


def test_versions_of_what_only_children_import_are_named(monkeypatch):
  def installed(name):
    if name == 'torch':
      raise common.metadata.PackageNotFoundError(name)
    return '1.2'
  monkeypatch.setattr(common.metadata, 'version', installed)
  monkeypatch.delitem(sys.modules, 'jax', raising=False)
  assert common.versions().endswith(', jax 1.2, numpy 1.2')


def test_report_leaves_what_the_page_shows(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr('sys.argv', ['train_step', '--repeats', '3'])
  common.report('train_step', [{'step': 'one', 'ms': '12'}, {'step': 'two', 'ms': '7'}],
                str(tmp_path), times={'one': {'cvq': [.012]}}, note='Three rounds.')
  assert '| two | 7 |' in capsys.readouterr().out
  assert json.loads((tmp_path / 'train_step.json').read_text())['seconds']['one'] == {
      'cvq': [.012]}
  text = page.page(tmp_path)
  assert '| step | ms |\n| --- | --- |\n| one | 12 |\n| two | 7 |' in text
  assert 'Three rounds. Measured by `python -m benchmarks.train_step --repeats 3` on' in text
  missing = [name for name, _ in page.SECTIONS if name != 'train_step']
  assert all(f'Not measured yet: `python -m benchmarks.{name}`' in text for name in missing)


def test_a_command_to_repeat_names_no_folder_of_this_machine(monkeypatch):
  monkeypatch.setattr('sys.argv', [
      'precision', '--runs', '/here/runs', '--repeats=3', '--results=/here', '--data_dir=/data',
      '--data_dir', '/data', '--run', 'runs/a'])
  assert common.command('precision') == 'python -m benchmarks.precision --repeats=3 --run runs/a'


@pytest.mark.parametrize('name', [name for name, _ in page.SECTIONS])
def test_every_section_says_what_is_measured(name):
  text = page._text(name)                                # pylint: disable=protected-access
  assert len(text) > 100 and 'python -m benchmarks' not in text
  assert 'pip install' not in text


def test_the_page_is_that_of_the_results():
  assert (ROOT / page.PAGE).read_text() == page.page(ROOT / common.RESULTS), (
      'write it: python -m benchmarks.page')
