"""docs/results.md follows from the cells' JSON, and nothing else."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from configs import tables as declared
from cvq.sweep import cells, curves, markdown
from cvq.sweep.cells import Cell, Chart, Column, Row, Table
from cvq.sweep.goals import Figure, Goal, Goals

ROOT = pathlib.Path(__file__).parents[2]
CELLS = [Cell(f'a-seed{seed}', 'a.py', (), seed) for seed in range(3)] + [Cell('b', 'b.py')]
TABLE = Table(
    'one', 'Title', 'Some text.', ('method',),
    (Column('right', 'evaluation.retrieval.directed'),
     Column('worst', 'evaluation.retrieval.per_factor', fold=min, digits=1),
     Column('image', 'evaluation.intervention.mse', digits=4)),
    (Row(('A',), tuple(CELLS[:3])), Row(('B',), (CELLS[3],))))


def write(folder, cell, directed, per_factor, **more):
  evaluation = {'retrieval': {'directed': directed, 'per_factor': per_factor}}
  if 'mse' in more:
    evaluation['intervention'] = {'mse': more.pop('mse')}
  (folder / f'{cell.name}.json').write_text(json.dumps({
      'arguments': cell.arguments, 'command': 'COMMAND', 'seed': cell.seed, 'machine': 'abacus',
      'device': 'beads', 'versions': {'cvq': '9'}, 'revision': None, 'training_seconds': 90.,
      'evaluation': evaluation} | more))


def section(text, title):
  return text.split(f'## {title}\n')[1].split('\n## ')[0].strip()


def test_known_answer(tmp_path):
  write(tmp_path, CELLS[0], .9, {'x': .5, 'y': .3}, mse=.001)
  write(tmp_path, CELLS[2], .8, {'x': .7, 'y': None}, training_seconds=150.)
  write(tmp_path, CELLS[3], .25, {'x': 1.})
  text = markdown.page([TABLE], tmp_path)
  # Mean .85, deviation .1 / sqrt 2; worst (.3 + .7) / 2; the one image error there is.
  assert section(text, 'Title') == """Some text.

| method | right | worst | image | seeds | minutes |
| --- | --- | --- | --- | --- | --- |
| A | 0.850 ± 0.071 | 0.5 ± 0.3 | 0.0010 (of 1) | 0, 2 | 2.0 |
| B | 0.250 | 1.0 |  | 0 | 1.5 |

Measured on abacus.

Not measured yet (1 of 4 cells): `a-seed1`."""
  assert '| [b](results/b.json) | `COMMAND` | 1.5 | beads; abacus | 9 |' in text
  assert '3 cells, 0.1 hours of training steps in all.' in text       # 90 + 150 + 90 seconds


def test_a_figure_in_which_all_seeds_agree_has_no_spread(tmp_path):
  for cell in CELLS[:3]:
    write(tmp_path, cell, .5, {'x': 1.})
  assert '| A | 0.500 | 1.0 |  | 0, 1, 2 | 1.5 |' in markdown.page([TABLE], tmp_path)


def test_tables_and_rows_without_results_say_so(tmp_path):
  text = markdown.page([TABLE], tmp_path)
  assert section(text, 'Title').endswith(
      'Not measured yet: `python -m cvq.sweep --table=one`')
  assert 'No cell is finished yet.' in text
  write(tmp_path, CELLS[3], .25, {'x': 1.})
  assert '| A |' not in markdown.page([TABLE], tmp_path)


def test_a_cell_counts_where_it_has_the_measurements_of_the_table(tmp_path):
  more = Table('two', 'More', '', ('method',), (Column('score', 'extra.score', digits=1),),
               TABLE.rows, ('extra',))
  write(tmp_path, CELLS[3], .25, {'x': 1.})
  assert 'Not measured yet: ' in section(markdown.page([TABLE, more], tmp_path), 'More')
  write(tmp_path, CELLS[3], .25, {'x': 1.}, extra={'score': .75})
  assert '| B | 0.8 |' in section(markdown.page([TABLE, more], tmp_path), 'More')


def test_results_of_another_command_do_not_count(tmp_path):
  write(tmp_path, CELLS[3], .25, {'x': 1.})
  changed = Table('one', 'Title', '', ('method',), TABLE.columns,
                  (Row(('B',), (Cell('b', 'b.py', (('seed', 7),)),)),))
  assert 'No cell is finished yet.' in markdown.page([changed], tmp_path)


def test_the_page_in_docs_is_what_its_results_give():
  docs = ROOT / 'docs'
  page = markdown.page(declared.tables(), docs / 'results', declared.goals())
  assert (docs / 'results.md').read_text() == page, 'python -m cvq.sweep --write'
  drawn = curves.drawings(declared.tables(), docs / 'results')
  kept = {path.name: path.read_text() for path in (docs / curves.FOLDER).iterdir()}
  assert kept == drawn, 'python -m cvq.sweep --write'


def test_lines_are_means_over_seeds_and_need_two_points(tmp_path):
  right, image = TABLE.columns[0], TABLE.columns[2]
  chart = Chart('c', 'A chart', 'x', 'y', ('few', 'many'), (
      ('A, then B', ((('A',), right), (('B',), right))),
      ('images', ((('A',), image), (('B',), image)))))
  table = dataclasses.replace(TABLE, charts=(chart,))
  assert not curves.drawings([table], tmp_path)
  write(tmp_path, CELLS[0], .9, {}, mse=.001)
  write(tmp_path, CELLS[2], .8, {})
  assert not curves.drawings([table], tmp_path)
  assert 'A chart' not in markdown.page([table], tmp_path)
  write(tmp_path, CELLS[3], .25, {})
  found = cells.finished([table], tmp_path)
  (name, places, values), = curves.series(chart, table, found)
  assert (name, places) == ('A, then B', (0, 1))
  np.testing.assert_allclose(values, (.85, .25))
  (file, drawing), = curves.drawings([table], tmp_path).items()
  assert file == 'c.svg' and '>few<' in drawing and '>A, then B<' in drawing
  assert f'![A chart]({curves.FOLDER}/c.svg)' in markdown.page([table], tmp_path)


def test_a_chart_of_a_row_that_is_not_there_fails(tmp_path):
  chart = Chart('c', '', '', '', ('here',), (('line', ((('nowhere',), TABLE.columns[0]),)),))
  with pytest.raises(KeyError, match='nowhere'):
    curves.drawings([dataclasses.replace(TABLE, charts=(chart,))], tmp_path)


def test_goals_are_judged_by_the_mean_of_the_seeds_that_there_are(tmp_path):
  write(tmp_path, CELLS[0], .75, {}, mse=.002)
  write(tmp_path, CELLS[2], 1., {}, mse=.004)
  write(tmp_path, CELLS[3], .875, {})
  right, image = TABLE.columns[0], TABLE.columns[2]
  a, b = (lambda column, *over: Figure(column, tuple(CELLS[:3]), *over)), Figure(right, (CELLS[3],))
  text = markdown.page([TABLE], tmp_path, Goals('Words.', (
      Goal('reached', a(right), '≥', .875, 2), Goal('missed', a(right), '≥', .876),
      Goal('no better', a(right), '>', b, 2), Goal('small', a(image), '≤', .003, 4),
      Goal('share', a(image, right), '≤', .004, 5),
      Goal('unknown', Figure(image, (CELLS[3],)), '<', 1.),
      Goal('unknown bound', a(right), '<', Figure(image, (CELLS[3],)))),
      ('One try.', 'Another.')))
  # .875 is the mean of .75 and 1; .002 / .75 and .004 / 1 have the mean .00333.
  assert section(text, 'Goals').startswith('Words.\n\n| figure |')
  assert section(text, 'Goals').splitlines()[-11:] == [
      '| reached | ≥ 0.88 | 0.88 ± 0.18 | 0, 2 | yes |',
      '| missed | ≥ 0.876 | 0.875 ± 0.177 | 0, 2 | no |',
      '| no better | > 0.88 (seed 0) | 0.88 ± 0.18 | 0, 2 | no |',
      '| small | ≤ 0.0030 | 0.0030 ± 0.0014 | 0, 2 | yes |',
      '| share | ≤ 0.00400 | 0.00333 ± 0.00094 | 0, 2 | yes |',
      '| unknown | < 1.000 |  |  | not measured |',
      '| unknown bound |  | 0.875 ± 0.177 | 0, 2 | not measured |', '', 'One try.', '', 'Another.']
