"""What the benchmarks share: turns, memory of a process, the machine, tables, and their JSON."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib import metadata
from typing import Any, Callable, Mapping, Sequence

from cvq import files, memory
from cvq.sweep.markdown import line
from cvq.sweep.run import machine as processor

RESULTS = 'docs/performance'
PLACES = ('--results', '--runs', '--data_dir')      # flags that name folders of one machine
Row = dict[str, str]                                # a cell for each head of the table
Seconds = dict[str, list[float]]                    # of every repeat, for each version


def start(main: Callable[[], None]) -> None:
  """A benchmark whose process keeps its memory, as `cvq.main` does; the peers have it, too."""
  memory.keep()
  main()


def seconds(run: Callable[[], Any]) -> float:
  """Wall time of one call."""
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def in_turn(runs: Mapping[str, Callable[[], Any]], repeats: int) -> Seconds:
  """Times every function once a round, so that a busy machine slows them alike.

  Each is called once before, for what it compiles and allocates.
  """
  for run in runs.values():
    run()
  times: Seconds = {name: [] for name in runs}
  for _ in range(repeats):
    for name, run in runs.items():
      times[name].append(seconds(run))
  return times


def spread(values: Sequence[float], digits: int = 2) -> str:
  """'least / median / greatest'."""
  return ' / '.join(f'{f(values):.{digits}f}' for f in (min, statistics.median, max))


def times_faster(ours: Sequence[float], peer: Sequence[float]) -> str:
  """How many times faster than the peer, within each round: 'least / median / greatest'."""
  return spread([b / a for a, b in zip(ours, peer, strict=True)])


def milliseconds(times: Sequence[float]) -> str:
  """The median."""
  ms = 1e3 * statistics.median(times)
  return f'{ms:,.0f}' if ms >= 100 else f'{ms:.3g}'


def peak_gb() -> float:
  """Largest resident memory of this process so far."""
  status = pathlib.Path('/proc/self/status')
  if status.exists():          # getrusage would count what the parent held when it forked
    return _gb_of(status, 'VmHWM:')
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def free_gb() -> float:
  """Physical memory that a process could have; infinite where the system does not say."""
  info = pathlib.Path('/proc/meminfo')
  if not info.exists():
    return float('inf')
  return _gb_of(info, 'MemAvailable:')


def _gb_of(path: pathlib.Path, name: str) -> float:
  """GB of a field of /proc that is in kB."""
  [found] = [row for row in path.read_text().splitlines() if row.startswith(name)]
  return int(found.split()[1]) * 1024 / 1e9


def alone(module: str, *arguments: object) -> str | None:
  """What `python -m module arguments` prints in a process of its own; None if it fails."""
  done = subprocess.run([sys.executable, '-m', module, *map(str, arguments)], text=True,
                        capture_output=True, check=False)
  return done.stdout.strip() if done.returncode == 0 else None


def versions() -> str:
  """Of what the times depend on, as installed: many benchmarks import it in children alone.

  PyTorch is named where it is installed, which it is for the peers.
  """
  found = [f'Python {platform.python_version()}']
  for name in ('jax', 'numpy', 'torch'):
    with contextlib.suppress(metadata.PackageNotFoundError):
      found.append(f'{name} {metadata.version(name)}')
  return ', '.join(found)


def machine() -> str:
  """Processor, accelerator if there is one, and versions, in words."""
  jax = sys.modules.get('jax')
  parts = [processor()]
  if jax is not None and jax.default_backend() != 'cpu':
    parts.append(f'{jax.device_count()} x {jax.devices()[0].device_kind}')
  return '; '.join([*parts, versions()])


def markdown(rows: Sequence[Row]) -> str:
  """Rows with the same heads as a table."""
  heads = list(rows[0])
  return '\n'.join([line(heads), line(['---'] * len(heads)),
                    *(line(row.values()) for row in rows)])


def parser(description: str | None, *, repeats: int) -> argparse.ArgumentParser:
  """Command line of a benchmark: --repeats and --results."""
  made = argparse.ArgumentParser(description=(description or '').split('\n', maxsplit=1)[0])
  made.add_argument('--repeats', type=int, default=repeats, help='rounds; default %(default)s')
  made.add_argument('--results', default=RESULTS, help='folder of the JSON; default %(default)s')
  return made


def command(name: str) -> str:
  """The command line of this process, for a reader to repeat: without folders of this machine."""
  flags, left = [], iter(sys.argv[1:])
  for flag in left:
    if flag in PLACES:
      next(left)                                       # its value is an argument of its own
    elif flag.partition('=')[0] not in PLACES:
      flags.append(flag)
  return ' '.join(['python -m', f'benchmarks.{name}', *flags])


def report(name: str, rows: Sequence[Row], results: str, *, times: dict[str, Seconds] | None = None,
           **notes: str) -> None:
  """Prints a table, and writes RESULTS/NAME.json for `python -m benchmarks.page`.

  Args:
    rows: the table. times: of every repeat, by row. notes: sentences that belong to it.
  """
  load = f'{os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
  print('\n'.join([f'{machine()}; load {load}', '', markdown(rows), '', *notes.values()]),
        flush=True)
  folder = pathlib.Path(results)
  folder.mkdir(parents=True, exist_ok=True)
  files.write_json(folder / f'{name}.json', {
      'command': command(name), 'machine': machine(), 'load': load, 'rows': list(rows), 'notes': notes,
      'seconds': times or {}})
