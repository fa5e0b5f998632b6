"""Runs the tables of configs/tables/ and writes docs/results.md.

  python -m cvq.sweep --list
  python -m cvq.sweep --table=retrieval
  python -m cvq.sweep --table=retrieval --cells='dsprites-*' --parallel=2
  python -m cvq.sweep --write
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import pathlib
import re
import signal
import sys

from cvq import files
from cvq.errors import UserError
from cvq.sweep import cells as cell_module, curves, markdown, run


def main(argv: list[str]) -> int:
  """Does what the command line asks for; returns the exit code. Raises UserError."""
  given = _parser().parse_args(argv)
  if given.parallel < 1:
    raise UserError(f'--parallel={given.parallel}: at least one cell runs at a time.')
  module = importlib.import_module(given.tables)
  tables = {table.name: table for table in module.tables()}
  if given.table and given.table not in tables:
    raise UserError(f'--table={given.table}: no such table; known: {", ".join(tables)}')
  chosen = [tables[given.table]] if given.table else list(tables.values())
  wanted = {cell: needed for cell, needed in cell_module.wanted(chosen).items()
            if fnmatch.fnmatch(cell.name, given.cells)}
  if not wanted:
    raise UserError(f'--cells={given.cells}: no cell has such a name; --list shows them all.')
  results, runs = pathlib.Path(given.results), pathlib.Path(given.runs)
  if given.list:
    for cell, needed in wanted.items():
      print(f'{cell.name}: {cell_module.status(cell, needed, results, runs)}'
            f'\n    {cell.command(runs)}')
    return 0
  failed = []
  if given.table or given.cells != '*' or not given.write:
    failed = run.Runner(results, runs, _tell).run(wanted, given.parallel)
  if given.write:
    page = pathlib.Path(given.page)
    drawings, folder = curves.drawings(tables.values(), results), page.parent / curves.FOLDER
    before = page.read_text() if page.exists() else ''
    for old in set(re.findall(rf'\({curves.FOLDER}/([^)/]+\.svg)\)', before)) - drawings.keys():
      (folder / old).unlink(missing_ok=True)             # of cells that are to be measured again
    for name, drawing in drawings.items():
      folder.mkdir(parents=True, exist_ok=True)
      files.write_text(folder / name, drawing)
    goals = module.goals() if hasattr(module, 'goals') else None
    files.write_text(page, markdown.page(tables.values(), results, goals))
    print(f'Wrote {page}.')
  if failed:
    print(f'{len(failed)} of {len(wanted)} cells failed: {", ".join(failed)}.\n'
          'The same command tries them again.', file=sys.stderr)
  return bool(failed)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='python -m cvq.sweep', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  add = parser.add_argument
  add('--table', default='', help='a table by its name; default: all of them')
  add('--cells', default='*', help="only cells whose name fits, as 'dsprites-*'")
  add('--list', action='store_true', help='show the cells, how far each is, and its command')
  add('--write', action='store_true',
      help='write the page, after the cells of --table or --cells have run')
  add('--parallel', type=int, default=1, help='cells at a time; each takes memory of its own')
  add('--results', default='docs/results', help='folder of the JSON of finished cells')
  add('--runs', default='runs/sweep', help='folder of work directories')
  add('--page', default='docs/results.md', help='where --write writes')
  add('--tables', default='configs.tables', help='module with tables(), and goals() if any')
  return parser


def _tell(line: str) -> None:
  print(line, flush=True)


def _interrupt(*_) -> None:
  raise KeyboardInterrupt


if __name__ == '__main__':
  signal.signal(signal.SIGTERM, _interrupt)
  try:
    sys.exit(main(sys.argv[1:]))
  except UserError as error:
    print(f'cvq: {error}', file=sys.stderr)
    sys.exit(error.code)
  except KeyboardInterrupt:
    print('cvq: Stopped; every run is saved, and the same command goes on.', file=sys.stderr)
    sys.exit(128 + signal.SIGINT)
