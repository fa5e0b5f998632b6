"""Seconds from a command to its first steps: imports, a first start, a second one, a resumed one.

  python -m benchmarks.start_up [--config configs/dsprites.py]

Every start is the command that a user gives, `python -m cvq.main`, in a process of its own, with
the default preset but two steps of reconstruction, after which joint steps come; it is watched by
its log. The cold start has an empty compilation cache, the second one finds the programs of the
first and has a new work directory, the resumed one goes on after SIGTERM in the second's. The data
is prepared before. Two minutes on two quiet cores.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import common

RECONSTRUCTION = 2                                     # steps
IMPORTS = {'import cvq': 'import cvq', 'import cvq.train': 'import cvq.train'}
LIMIT = 900.


def python(code: str) -> float:
  """Seconds of a new interpreter that runs this."""
  return common.seconds(lambda: subprocess.run([sys.executable, '-c', code], check=True))


def lines(path: pathlib.Path) -> list[int]:
  """Steps in the log so far."""
  if not path.exists():
    return []
  whole = path.read_text().rpartition('\n')[0].splitlines()
  return [json.loads(line)['step'] for line in whole]


def start(config: str, workdir: pathlib.Path, cache: pathlib.Path) -> dict[str, float]:
  """Starts a run, waits for its first steps, and stops it with SIGTERM.

  Returns:
    Seconds until 'first step' and 'first joint step' are in the log, and until the process that
    was told to stop has saved and ended, 'to stop'.
  """
  log = workdir / 'metrics.jsonl'
  already = len(lines(log))
  environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)}
  begin = time.perf_counter()
  process = subprocess.Popen(
      [sys.executable, '-m', 'cvq.main', f'--config={config}', f'--workdir={workdir}',
       f'--config.pretrain.steps={RECONSTRUCTION}', '--config.log.every=1'],
      env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
  found: dict[str, float] = {}
  try:
    while 'first joint step' not in found:
      if process.poll() is not None or time.perf_counter() - begin > LIMIT:
        process.kill()                                   # what it wrote ends only with it
        raise RuntimeError(f'No step was made: {process.stderr.read()[-2000:]}')
      time.sleep(.02)
      new, now = lines(log)[already:], time.perf_counter() - begin
      if new:
        found.setdefault('first step', now)
      if new and new[-1] > RECONSTRUCTION:
        found['first joint step'] = now
    told = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    code = process.wait(LIMIT)
    if code != 128 + signal.SIGTERM:
      raise RuntimeError(f'It ended with {code}: {process.stderr.read()[-2000:]}')
    return found | {'to stop': time.perf_counter() - told}
  finally:
    process.kill()
    process.wait()


def preparation(config: str) -> str:
  """Code that prepares the data of a config, PATH or PATH:PRESET."""
  path, _, preset = config.partition(':')
  module = path.removesuffix('.py').replace('/', '.')
  return (f'from {module} import get_config; from cvq.data import datasets; '
          f'datasets.load_dataset(get_config({preset!r}).dataset)')


def main() -> None:
  parser = common.parser(__doc__, repeats=3)
  parser.add_argument('--config', default='configs/dsprites.py')
  flags = parser.parse_args()
  rows = []

  def row(what: str, seconds: float, goal: str = '') -> None:
    rows.append({'what': what, 'seconds': f'{seconds:.2f}', 'goal': goal})

  for name, code in IMPORTS.items():
    row(f'`{name}`', statistics.median(python(code) for _ in range(flags.repeats)),
        'under 2' if name == 'import cvq' else '')
  subprocess.run([sys.executable, '-c', preparation(flags.config)], check=True)
  with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    for what, name, goal in (('first start, nothing compiled', 'cold', ''),
                             ('second start', 'warm', 'within 15'), ('resumed', 'warm', '')):
      found = start(flags.config, place / name, place / 'compiled')
      for event in ('first step', 'first joint step'):
        # A resumed run begins with joint steps.
        if not (what == 'resumed' and event == 'first step'):
          row(f'{what}: until its {event}', found[event], goal if event == 'first step' else '')
      row(f'{what}: from SIGTERM until saved and ended', found['to stop'], 'within 30')
  common.report('start_up', rows, flags.results, note=(
      f'Imports: median of {flags.repeats}; starts: one each.'))


if __name__ == '__main__':
  main()
