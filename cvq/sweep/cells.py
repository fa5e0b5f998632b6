"""Cells and tables: what is run, and what has become of it. Imports no JAX."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
from typing import Any, Callable, Mapping

from cvq import files
from cvq.errors import UserError

FINISHED, PARTLY, UNFINISHED, MISSING, OTHER = (
    'finished', 'partly measured', 'unfinished', 'missing', 'of another command')


@dataclasses.dataclass(frozen=True)
class Cell:
  """One run, shared by all tables that show it.

  Attributes:
    name: of its files, RESULTS/NAME.json and RUNS/NAME.
    config: what --config takes. fields: fields of the config given besides, with their values.
    seed: config.seed.
  """
  name: str
  config: str
  fields: tuple[tuple[str, Any], ...] = ()
  seed: int = 0

  @property
  def arguments(self) -> list[str]:
    """Of cvq.main, without the work directory."""
    return [f'--config={self.config}',
            *(f'--config.{name}={value}' for name, value in (*self.fields, ('seed', self.seed)))]

  def command(self, runs: pathlib.Path | str) -> str:
    """For a reader to repeat it."""
    return shlex.join(['python', '-m', 'cvq.main', *self.arguments,
                       f'--workdir={pathlib.Path(runs) / self.name}'])


@dataclasses.dataclass(frozen=True)
class Column:
  """Attributes:
    title: its head. figure: where it stands in a cell's JSON, names joined by dots; those in braces
      stand for words of the row.
    fold: makes one number of a figure that has several values, as `min`. digits: after the point.
  """
  title: str
  figure: str
  fold: Callable[[list[float]], float] | None = None
  digits: int = 3

  def value(self, result: dict, words: Mapping[str, str] = {}) -> float | None:
    """The figure of a cell; None where it has none. words: of the row."""
    found: Any = result
    for name in self.figure.format(**words).split('.'):
      found = found.get(name) if isinstance(found, dict) else None
    if self.fold is None:
      return found
    values = found.values() if isinstance(found, dict) else found or ()
    known = [value for value in values if value is not None]
    return self.fold(known) if known else None


@dataclasses.dataclass(frozen=True)
class Row:
  """Attributes:
    labels: one for each label column of the table. cells: runs that differ in the seed alone.
    words: what names in braces, of the figures of columns, stand for in this row.
  """
  labels: tuple[str, ...]
  cells: tuple[Cell, ...]
  words: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Chart:
  """Curves through figures of a table.

  Attributes:
    name: of its file. title: what it shows. x, y: labels of the axes. places: names on the x axis.
    lines: at most three: a name, and for each place the labels of a row, and a column.
    from_zero: the y axis begins at 0.
  """
  name: str
  title: str
  x: str
  y: str
  places: tuple[str, ...]
  lines: tuple[tuple[str, tuple[tuple[tuple[str, ...], Column], ...]], ...]
  from_zero: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
  """Attributes:
    name: for --table. title, text: for readers. labels: heads of the label columns.
    measurements: names of `cvq.sweep.measure.MEASUREMENTS` that its cells need besides.
    charts: drawn beneath it. of_runs: seeds and minutes are told; not where no run is judged.
  """
  name: str
  title: str
  text: str
  labels: tuple[str, ...]
  columns: tuple[Column, ...]
  rows: tuple[Row, ...]
  measurements: tuple[str, ...] = ()
  charts: tuple[Chart, ...] = ()
  of_runs: bool = True

  def results(self, cells: tuple[Cell, ...], found: dict[str, dict]) -> dict[str, dict]:
    """Of the cells that have all measurements, by name. found: of `finished`."""
    return {cell.name: found[cell.name] for cell in cells
            if cell.name in found and set(self.measurements) <= found[cell.name].keys()}


def wanted(tables: list[Table]) -> dict[Cell, set[str]]:
  """Cells of tables, in their order, with the measurements that any of the tables needs.

  Raises:
    ValueError: two cells of one name that differ.
  """
  found: dict[Cell, set[str]] = {}
  for table in tables:
    for row in table.rows:
      for cell in row.cells:
        found.setdefault(cell, set()).update(table.measurements)
  names = [cell.name for cell in found]
  twice = {name for name in names if names.count(name) > 1}
  if twice:
    raise ValueError(f'Several cells are called {", ".join(sorted(twice))}.')
  return found


def result(cell: Cell, results: pathlib.Path) -> dict | None:
  """What a cell's JSON holds, None where there is none. Raises UserError if it is damaged."""
  path = results / f'{cell.name}.json'
  if not path.exists():
    return None
  found = files.read_json(path, 'Move it away; the sweep measures the cell again.')
  if not isinstance(found, dict) or not {'arguments', 'evaluation'} <= found.keys():
    raise UserError(f'{path} is no result of a cell.\nMove it away; the sweep measures it again.')
  return found


def finished(tables: list[Table], results: pathlib.Path) -> dict[str, dict]:
  """What the JSON of cells holds, by name, of those whose command it is. Raises UserError."""
  found = {cell.name: (cell, result(cell, results)) for cell in wanted(tables)}
  return {name: held for name, (cell, held) in found.items()
          if held is not None and held['arguments'] == cell.arguments}


def status(cell: Cell, measurements: set[str], results: pathlib.Path, runs: pathlib.Path) -> str:
  """How far a cell is: one of the words above."""
  found = result(cell, results)
  if found is not None:
    if found['arguments'] != cell.arguments:
      return OTHER
    return FINISHED if measurements <= found.keys() else PARTLY
  folder = runs / cell.name / 'checkpoints'
  saved = folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir())
  return UNFINISHED if saved else MISSING
