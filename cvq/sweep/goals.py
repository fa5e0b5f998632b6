"""Goals, and whether cells meet them. Imports no JAX."""

from __future__ import annotations

import dataclasses
import operator
import statistics

from cvq.sweep.cells import Cell, Column

_MEETS = {'≥': operator.ge, '≤': operator.le, '>': operator.gt, '<': operator.lt}


@dataclasses.dataclass(frozen=True)
class Figure:
  """A figure of some cells.

  Attributes:
    column: the figure. cells: that differ in the seed alone. over: what it is divided by, if
      anything.
  """
  column: Column
  cells: tuple[Cell, ...]
  over: Column | None = None

  def values(self, found: dict[str, dict]) -> dict[int, float]:
    """By seed, of the cells that have it. found: of `cvq.sweep.cells.finished`."""
    values = {}
    for cell in self.cells:
      result = found.get(cell.name, {})
      value, over = self.column.value(result), 1. if self.over is None else self.over.value(result)
      if value is not None and over is not None:
        values[cell.seed] = value / over
    return values

  def mean(self, found: dict[str, dict]) -> float | None:
    """Over the seeds; None where none has it."""
    values = self.values(found).values()
    return statistics.fmean(values) if values else None


@dataclasses.dataclass(frozen=True)
class Goal:
  """A bound on the mean of a figure over seeds.

  Attributes:
    title: what is measured. figure: what is bounded.
    sign: '≥' | '≤' | '>' | '<'. bound: a number, or a figure, whose mean is the bound.
    digits: after the point.
  """
  title: str
  figure: Figure
  sign: str
  bound: float | Figure
  digits: int = 3

  def limit(self, found: dict[str, dict]) -> float | None:
    """The bound; None where it is a figure that is not measured. found: as of `Figure.values`."""
    return self.bound.mean(found) if isinstance(self.bound, Figure) else self.bound

  def met(self, found: dict[str, dict]) -> bool | None:
    """Whether it is met; None where it is not measured."""
    mean, limit = self.figure.mean(found), self.limit(found)
    return None if mean is None or limit is None else _MEETS[self.sign](mean, limit)


@dataclasses.dataclass(frozen=True)
class Goals:
  """Attributes: text. goals, in the order of the page. tried: paragraphs below them."""
  text: str
  goals: tuple[Goal, ...]
  tried: tuple[str, ...] = ()
