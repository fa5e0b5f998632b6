"""How the paper's transition layer grows: time and memory of a causal step by V, A and N.

  pip install -e '.[benchmark]' -c constraints.txt
  python -m benchmarks.ct_growth [--repeats 3] [--axes V A N]

One example; a step is the cross-entropy of the posterior over all A actions and its gradient.
From V = 64 variables, A = 10 actions, N = 64 codes, one size is changed at a time. Every point
runs in a process of its own, so that its peak memory is its own; the plain PyTorch version (see
`benchmarks.ct_layer`) where it has room. The paper's last layer has (1 + A) ** 2 x 100 x N
weights, twice: 1.3 GB of them and as much of gradient at A = 160, most of the memory there.
Exponents are slopes of a line through the logarithms. Ten minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks import common, ct_layer

BASE = {'V': 64, 'A': 10, 'N': 64}
SIZES = {'V': (16, 64, 256), 'A': (5, 10, 40, 160), 'N': (64, 512)}
LONG = 60.                     # seconds after which a point is not repeated again


def problem(point: dict[str, int]) -> ct_layer.Problem:
  return ct_layer.Problem('causal', 1, variables=point['V'], codes=point['N'],
                          actions=point['A'])


def peer_gb(point: dict[str, int]) -> float:
  """What the peer keeps for its gradient: pairs, of the edges' MLP and of all heads, each pass."""
  pairs = (1 + point['V']) ** 2 * point['A'] * 4 / 1e9
  edges = 2 * (2 * point['N'] + 3 * 800)
  heads = (1 + point['A']) * 3 * (100 + point['N'])
  return 1. + pairs * (edges + heads)


def measure(version: str, point: dict[str, int], repeats: int) -> dict:
  """Seconds of every repeat, and peak GB, of this process."""
  run = ct_layer.prepare(version, problem(point))
  run()
  begin, times = time.perf_counter(), []
  while len(times) < repeats and (not times or time.perf_counter() - begin < LONG):
    times.append(common.seconds(run))
  return {'seconds': times, 'gb': common.peak_gb()}


def exponent(sizes: list[int], costs: list[float]) -> str:
  """Slope of log cost over log size; empty with fewer than two points."""
  if len(sizes) < 2:
    return ''
  return f'{np.polyfit(np.log(sizes), np.log(costs), 1)[0]:.2f}'


def main() -> None:
  parser = common.parser(__doc__, repeats=3)
  parser.add_argument('--axes', nargs='+', choices=tuple(SIZES), default=list(SIZES))
  parser.add_argument('--point', nargs=4, metavar=('VERSION', 'V', 'A', 'N'),
                      help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.point:
    version, *sizes = flags.point
    print(json.dumps(measure(version, dict(zip(BASE, map(int, sizes))), flags.repeats)))
    return
  rows, times, slopes = [], {}, []
  for axis in flags.axes:
    found: dict[str, dict[int, dict]] = {'cvq': {}, 'PyTorch': {}}
    for size in SIZES[axis]:
      point = BASE | {axis: size}
      row = dict(zip(BASE, map(str, point.values())))
      for version, of_version in found.items():
        row |= {f'{version} ms': 'no room', f'{version} GB': ''}
        if version == 'PyTorch' and peer_gb(point) > .8 * common.free_gb():
          continue
        printed = common.alone('benchmarks.ct_growth', '--repeats', flags.repeats, '--point',
                               version, *point.values())
        if printed is None:
          row[f'{version} ms'] = 'failed'
          continue
        known = of_version[size] = json.loads(printed.splitlines()[-1])
        row |= {f'{version} ms': common.milliseconds(known['seconds']),
                f'{version} GB': f'{known["gb"]:.2f}'}
      rows.append(row)
      times[', '.join(f'{k} {v}' for k, v in point.items())] = {
          version: of[size]['seconds'] for version, of in found.items() if size in of}
      print(row, flush=True)
    for version, of_version in found.items():
      sizes = list(of_version)
      text = exponent(sizes, [float(np.median(of_version[s]['seconds'])) for s in sizes])
      if text:
        slopes.append(f'{version}, {axis} {"-".join(map(str, sizes))}: {text}')
  common.report('ct_growth', rows, flags.results, times=times,
                note=f'Exponents of time: {"; ".join(slopes)}.')


if __name__ == '__main__':
  common.start(main)
