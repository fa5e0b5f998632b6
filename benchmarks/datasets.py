r"""Transitions per second of each dataset into device arrays, beside a plain PyTorch DataLoader.

  pip install torch
  python -m benchmarks.datasets [--datasets dsprites shapes3d] [--sheets=FOLDER] [--repeats=5]

Ours draws, composes and reads every batch anew from the whole training split, on one thread. The
plain loader has it easier: 10,000 transitions lie ready in memory as arrays, and it stacks single
examples in one worker process. Both end in uint8 arrays of JAX. The two are timed in turn, and
the ratio is taken within each pair of runs. Without PyTorch, ours is measured alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import resource
import sys
import time
from typing import Any, Callable, Iterator

import jax
import numpy as np

from cvq.data import datasets, pipeline
from cvq.errors import UserError

BATCHES = (64, 1024)
_READY = 10_000                # transitions of the plain loader


class ArrayTransitions:
  """A map-style dataset in the sense of PyTorch: example i of arrays that lie ready."""

  def __init__(self, dataset: datasets.Dataset, config: Any):
    source, target, self.action = pipeline.open_transitions(
        dataset.images, config, 'train').choose(examples=_READY, seed=0)
    self.x, self.y = dataset.images.read(source), dataset.images.read(target)

  def __len__(self) -> int:
    return len(self.x)

  def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray, int]:
    return self.x[i], self.y[i], int(self.action[i])


def plain_batches(arrays: ArrayTransitions, size: int) -> Iterator[Any]:
  """Endless batches of a DataLoader with one worker, as JAX arrays."""
  from torch.utils.data import DataLoader

  loader = DataLoader(arrays, batch_size=size, shuffle=True, drop_last=True, num_workers=1,
                      persistent_workers=True, multiprocessing_context='spawn')
  while True:
    for x, y, action in loader:
      yield jax.device_put((x.numpy(), y.numpy(), action.numpy()))


def our_batches(dataset: datasets.Dataset, config: Any, size: int) -> Iterator[Any]:
  """Endless training batches as JAX arrays."""
  iterator = pipeline.train_iterator(
      dataset, config, batch_size=size, targets=1, seed=0, threads=1)
  while True:
    yield jax.device_put(next(iterator))


def rate(batches: Iterator[Any], size: int, seconds: float) -> float:
  """Transitions per second of an iterator over batches of so many of them."""
  next(batches)
  count, start = 0, time.perf_counter()
  while (elapsed := time.perf_counter() - start) < seconds:
    jax.block_until_ready(next(batches))
    count += size
  return count / elapsed


def measure(name: str, sheets: str, seconds: float, repeats: int) -> None:
  """Prints the rows of a dataset."""
  config = importlib.import_module(f'configs.{name}').get_config().dataset
  if sheets and 'sheets' in config:
    config.sheets = sheets
  start = time.perf_counter()
  try:
    dataset = datasets.load_dataset(config)
  except UserError as error:
    print(f'{name:10} left out: {str(error).splitlines()[0]}')
    return
  opened = time.perf_counter() - start
  peer = importlib.util.find_spec('torch') is not None
  arrays = ArrayTransitions(dataset, config) if peer else None
  for size in BATCHES:
    sources: dict[str, Callable[[], Iterator[Any]]] = {
        'ours': lambda: our_batches(dataset, config, size)}
    if peer:
      sources['plain'] = lambda: plain_batches(arrays, size)
    running = {version: source() for version, source in sources.items()}
    rates = {version: [] for version in running}
    for _ in range(repeats):
      for version, batches in running.items():
        rates[version].append(rate(batches, size, seconds))
    ratio, plain = '-', '-'
    if peer:
      low, middle, high = np.quantile(np.divide(rates['ours'], rates['plain']), (0, .5, 1))
      ratio, plain = f'{low:.1f} / {middle:.1f} / {high:.1f}', f'{np.median(rates["plain"]):,.0f}'
    unit = 1 if sys.platform == 'darwin' else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    print(f'{name:10} {size:6} {np.median(rates["ours"]):12,.0f} {plain:>12}   {ratio:24} '
          f'{opened:6.2f} {peak:8.2f}', flush=True)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--datasets', nargs='+', default=['dsprites', 'shapes3d', 'sprites'])
  parser.add_argument('--sheets', default='', help='folder of the sheets of sprites')
  parser.add_argument('--seconds', type=float, default=1., help='of one run')
  parser.add_argument('--repeats', type=int, default=5)
  args = parser.parse_args()
  print(f'{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, '
        f'NumPy {np.__version__}, JAX {jax.__version__}')
  print(f'{"dataset":10} {"batch":>6} {"ours t/s":>12} {"plain t/s":>12}   '
        f'{"ratio min / median / max":24} {"open s":>6} {"peak GB":>8}')
  for name in args.datasets:
    measure(name, args.sheets, args.seconds, args.repeats)


if __name__ == '__main__':
  main()
