"""docs/results.md from the cells' JSON alone. Imports no JAX."""

from __future__ import annotations

import pathlib
import statistics
import textwrap
from typing import Iterable

from cvq.sweep import cells as cell_module, curves
from cvq.sweep.cells import Row, Table
from cvq.sweep.goals import Figure, Goal, Goals

INTRODUCTION = """# Results

This page is written by `python -m cvq.sweep --write` from the files in `docs/results/`, one for
each run ("cell"); nothing on it is copied by hand. `configs/tables/` says which runs make up
which table.

```bash
python -m cvq.sweep --list                                # every cell, and how far it is
python -m cvq.sweep --table=retrieval                     # run what is missing of a table
python -m cvq.sweep --table=retrieval --cells='dsprites-*-seed0'
python -m cvq.sweep --write                               # this page anew
```

A finished cell is not run again; an interrupted one goes on from its checkpoint. To repeat a cell,
give its command, found with its machine and time under [Cells](#cells), or move its JSON away and
run its table again. Figures are of the test split, retrieval over all directed actions, and where a
row has several seeds it gives their mean and, after "±", their standard deviation (n - 1); "(of 1)"
where only one of them has the figure. "Minutes" are those of the training steps, their compilation
included, without start-up and evaluation; where the machine is "1 of 2 cores", another cell, and at
times tests, ran beside it. Some cells ran on an AMD EPYC, which takes two thirds of the Xeon's
time: their minutes are not to be compared. A cell's revision is that of its training; of what was
measured later the JSON says its own (`later`, recorded since 2026-11-28). Cells of revisions before
bb014a2, with other defaults, ran with the flags that gave that run then; their commands have those
that give it now.

Our default was chosen on validation data over many tries. Of beta-VAE and Ada-GVAE two learning
rates were tried (the higher one is used on dSprites alone: on colours it diverges), and of beta-VAE
another weight of the KL term; of the paper's method three rates and two proportions of its modes;
of the inverse model three, with 1.4 % of the transitions, and two lengths, of which the longer one
retrieves more; of QLAE two rates (3e-3, the higher one, retrieves more) and two weight decays (.1
retrieves more than 1; it shrinks weights by half over these few steps, to nothing over the
published 200,000). On dSprites all of them have about the time of our local level.

An empty field was not measured, or does not apply.
"""


def page(tables: Iterable[Table], results: pathlib.Path, goals: Goals | None = None) -> str:
  """The whole page.

  Args:
    tables: in their order. results: folder of the cells' JSON. goals: of cells of the tables.

  Raises:
    UserError: a damaged result.
  """
  tables = list(tables)
  found = cell_module.finished(tables, results)
  return '\n'.join([INTRODUCTION, *_goals(goals, found),
                    *(_section(table, found) for table in tables), _cells(found)])


def _goals(goals: Goals | None, found: dict[str, dict]) -> list[str]:
  if goals is None:
    return []
  lines = ['## Goals', '', _filled(goals.text), '',
           line(['figure', 'goal', 'measured', 'seeds', 'met']), line(['---'] * 5)]
  for goal in goals.goals:
    values, limit = goal.figure.values(found), goal.limit(found)
    lines.append(line([
        goal.title, '' if limit is None else f'{goal.sign} {_bound(goal, limit, found)}',
        _mean(list(values.values()), goal.digits), ', '.join(map(str, values)),
        {True: 'yes', False: 'no', None: 'not measured'}[goal.met(found)]]))
  for paragraph in goals.tried:
    lines += ['', _filled(paragraph)]
  return [*lines, '']


def _filled(text: str) -> str:
  return textwrap.fill(text, 100, break_on_hyphens=False)


def _bound(goal: Goal, limit: float, found: dict[str, dict]) -> str:
  text = f'{limit:.{goal.digits}f}'
  if not isinstance(goal.bound, Figure):
    return text
  seeds = list(goal.bound.values(found))
  return f'{text} (seed{"s" if len(seeds) > 1 else ""} {", ".join(map(str, seeds))})'


def _section(table: Table, found: dict[str, dict]) -> str:
  cells = tuple(dict.fromkeys(cell for row in table.rows for cell in row.cells))
  done = table.results(cells, found)
  missing = [cell.name for cell in cells if cell.name not in done]
  lines = [f'## {table.title}', '', _filled(table.text), '']
  if len(missing) == len(cells):
    return '\n'.join([*lines, f'Not measured yet: `python -m cvq.sweep --table={table.name}`', ''])
  heads = [*table.labels, *(column.title for column in table.columns),
           *(['seeds', 'minutes'] if table.of_runs else [])]
  lines += [line(heads), line(['---'] * len(heads))]
  for row in table.rows:
    if results := list(table.results(row.cells, found).values()):
      lines.append(line(_row(row, table, results)))
  for chart in table.charts:
    if curves.series(chart, table, found):
      lines += ['', f'![{chart.title}]({curves.FOLDER}/{chart.name}.svg)', f'*{chart.title}*']
  machines = sorted({result['machine'] for result in done.values()})
  lines += ['', f'Measured on {"; ".join(machines)}.', '']
  if missing:
    names = ', '.join(f'`{name}`' for name in missing)
    lines += [f'Not measured yet ({len(missing)} of {len(cells)} cells): {names}.', '']
  return '\n'.join(lines)


def _row(row: Row, table: Table, results: list[dict]) -> list[str]:
  parts = [*row.labels, *(_mean([column.value(r, row.words) for r in results], column.digits)
                          for column in table.columns)]
  if not table.of_runs:
    return parts
  seconds = [r['training_seconds'] for r in results if r.get('training_seconds') is not None]
  return [*parts, ', '.join(str(r['seed']) for r in results),
          f'{statistics.fmean(seconds) / 60:.1f}' if seconds else '']


def _mean(values: list[float | None], digits: int) -> str:
  """'0.978 ± 0.002', '256' where all agree, '0.9 (of 1)' where other seeds lack it, or ''."""
  known = [value for value in values if value is not None]
  if not known:
    return ''
  text = f'{statistics.fmean(known):.{digits}f}'
  if len(set(known)) > 1:
    text += f' ± {statistics.stdev(known):.{digits}f}'
  return text if len(known) == len(values) else f'{text} (of {len(known)})'


def _cells(found: dict[str, dict]) -> str:
  lines = ['## Cells', '']
  if not found:
    return '\n'.join([*lines, 'No cell is finished yet.', ''])
  hours = sum(r.get('training_seconds') or 0. for r in found.values()) / 3600
  lines += [f'{len(found)} cells, {hours:.1f} hours of training steps in all.', '',
            line(['cell', 'command', 'minutes', 'device', 'cvq']), line(['---'] * 5)]
  for name, r in sorted(found.items()):
    seconds = r.get('training_seconds')
    lines.append(line([
        f'[{name}](results/{name}.json)', f'`{r["command"]}`',
        '' if seconds is None else f'{seconds / 60:.1f}', f'{r["device"]}; {r["machine"]}',
        f'{r["versions"]["cvq"]} {r["revision"] or ""}'.strip()]))
  return '\n'.join([*lines, ''])


def line(parts: Iterable[str]) -> str:
  """A row of a Markdown table."""
  return f'| {" | ".join(parts)} |'
