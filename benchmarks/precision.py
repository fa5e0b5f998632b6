"""What products of bfloat16 inputs do to quality: training runs in both settings.

  python -m benchmarks.precision [--config=configs/dsprites.py:smoke] [--repeats=3] [--runs=FOLDER]

Every run is the command that a user gives, `python -m cvq.main`, in a process of its own, once
with `--config.train.products=float32` and once with `bfloat16`, in turn for each seed: the same
first weights and the same batches. Figures are those of its `evaluation.json`, which is computed
in float32 in both. On a CPU this is about quality alone: there bfloat16 is no faster. The smoke
preset learns little, and its figures vary from seed to seed: read the difference beside that.
Eight minutes on one core of an AMD EPYC.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from benchmarks import common

SETTINGS = ('float32', 'bfloat16')
# (name, part and figure of evaluation.json, digits)
FIGURES = (
    ('directed retrieval', 'retrieval', 'directed', 3),
    ('factor retrieval', 'retrieval', 'factor', 3),
    ('image after an action, MSE', 'intervention', 'mse', 5),
    ('reconstruction, MSE', 'reconstruction', 'mse', 5))


def train(config: str, products: str, seed: int, workdir: pathlib.Path) -> dict:
  """A whole run; returns what its evaluation.json holds."""
  done = subprocess.run(
      [sys.executable, '-m', 'cvq.main', f'--config={config}', f'--workdir={workdir}',
       f'--config.seed={seed}', f'--config.train.products={products}'],
      text=True, capture_output=True, check=False)
  if done.returncode:
    raise RuntimeError(f'The run ended with {done.returncode}: {done.stderr[-2000:]}')
  return json.loads((workdir / 'evaluation.json').read_text())


def rows_of(found: dict[str, list[dict]]) -> list[common.Row]:
  """A row for each figure. found: evaluations of every seed, for each setting."""
  rows = []
  for name, part, figure, digits in FIGURES:
    values = {products: [evaluation[part][figure] for evaluation in found[products]]
              for products in SETTINGS}
    changes = [b - a for a, b in zip(*values.values(), strict=True)]
    each = {f'{products}, each seed': ' / '.join(f'{value:.{digits}f}' for value in of_seeds)
            for products, of_seeds in values.items()}
    rows.append({'figure': name, **each,
                 'difference of means': f'{statistics.mean(changes):+.{digits}f}'})
  return rows


def main() -> None:
  parser = common.parser(__doc__, repeats=3)
  parser.add_argument('--config', default='configs/dsprites.py:smoke')
  parser.add_argument('--runs', default='', help='keeps the runs there, and goes on with them')
  flags = parser.parse_args()
  found: dict[str, list[dict]] = {products: [] for products in SETTINGS}
  with tempfile.TemporaryDirectory() as temporary:
    folder = flags.runs or temporary
    for seed in range(flags.repeats):
      for products in SETTINGS:
        workdir = pathlib.Path(folder) / f'{products}-{seed}'
        found[products].append(train(flags.config, products, seed, workdir))
        print(f'seed {seed}, {products}: done', file=sys.stderr, flush=True)
  evaluated = found['float32'][0]
  common.report('precision', rows_of(found), flags.results, note=(
      f'{flags.config}, seeds 0 to {flags.repeats - 1}; '
      f'{evaluated["retrieval"]["pairs"]} transitions of the split {evaluated["split"]} each.'))


if __name__ == '__main__':
  main()
