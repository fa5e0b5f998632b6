"""The charts of docs/results.md, from the cells' JSON alone. Imports no JAX."""

from __future__ import annotations

import pathlib
import statistics
from typing import Iterable

from cvq.report import charts
from cvq.sweep import cells as cell_module
from cvq.sweep.cells import Chart, Table

FOLDER = 'images/results'             # beside the page


def drawings(tables: Iterable[Table], results: pathlib.Path) -> dict[str, str]:
  """SVG of every chart that has a line so far, by the name of its file.

  Args:
    tables: whose charts. results: folder of the cells' JSON.

  Raises:
    UserError: a damaged result.
  """
  tables = list(tables)
  found = cell_module.finished(tables, results)
  return {f'{chart.name}.svg': charts.lines(
      lines, x_label=chart.x, y_label=chart.y, x_names=chart.places, from_zero=chart.from_zero,
      width=420).source()
          for table in tables for chart in table.charts
          if (lines := series(chart, table, found))}


def series(chart: Chart, table: Table, found: dict[str, dict]) -> list[charts.Series]:
  """Lines of a chart over places 0, 1, ..., means over seeds; lines of a single point are left out.

  Args:
    chart: of the table. found: results by the names of cells.

  Raises:
    KeyError: the chart names a row that the table has not.
  """
  rows = {row.labels: row for row in table.rows}
  lines = []
  for name, figures in chart.lines:
    points = []
    for place, (labels, column) in enumerate(figures):
      row = rows[labels]
      results = table.results(row.cells, found)
      values = [column.value(result, row.words) for result in results.values()]
      known = [value for value in values if value is not None]
      if known:
        points.append((place, statistics.fmean(known)))
    if len(points) > 1:
      lines.append((name, *zip(*points)))
  return lines
