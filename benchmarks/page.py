"""Writes docs/performance.md from the JSON that the benchmarks left in docs/performance/.

  python -m benchmarks.page
"""

from __future__ import annotations

import argparse
import inspect
import pathlib
import re
import textwrap

from benchmarks import common
from cvq import files

PAGE = 'docs/performance.md'

INTRODUCTION = """# Performance

This page is written by `python -m benchmarks.page` from the files in `docs/performance/`, which
the commands below leave there; no figure on it is copied by hand. Peers are PyTorch, written in the
ordinary way from the paper's description (`benchmarks/peers/`); before anything is timed, both
sides get the same weights and must have as many parameters and equal outputs. "Times faster" is the
peer's time over ours, within each round of runs that take turns: least / median / greatest. A goal
is what we set out to reach; where the figure falls short of it, it stands here all the same.

```bash
pip install -e '.[benchmark]' -c constraints.txt
python -m benchmarks.train_step
python -m benchmarks.page
```
"""

# (module, title); the text of a section is the docstring of the benchmark, after its usage.
SECTIONS = (
    ('train_step', "A training step of the paper's MCQ-VAE"),
    ('ct_layer', "The paper's transition layer"),
    ('ct_growth', 'How the transition layer grows'),
    ('start_up', 'Start-up'),
    ('default_step', 'Where the time of the default preset goes'),
    ('pipeline', 'The data pipeline'),
    ('precision', 'Quality with products of bfloat16 inputs'))

CONCLUSION = """## What a step does not do

Tests hold it to this (`tests/test_step_costs.py`): nothing is compiled after the second step of a
stage; with the batch on the device a step moves nothing between host and device, and calls nothing
on the host; the state is given up to the step that replaces it, so there is no second copy of it.
Every line of `metrics.jsonl` has `waiting_for_data`, the share of time since the last one that was
spent waiting for the data pipeline. Compiled programs are kept beside the data, by processor
(`cvq/compilation.py`).

## Memory that is kept

On a CPU a step takes hundreds of megabytes for itself and gives them back at its end. By default the
kernel takes them, zeroes them and hands them out again, 4 kB at a time. `cvq.main` therefore starts
itself again, in the same process, with settings of glibc's malloc that keep what was once taken, in
large pages (`cvq/memory.py`); so do the benchmarks, for their peers as well. What
`GLIBC_TUNABLES` sets already stays as it is. In a notebook, set it before Python starts. To see the
difference, take malloc's own values:

```bash
GLIBC_TUNABLES=glibc.malloc.mmap_max=65536:glibc.malloc.trim_threshold=131072:\\
glibc.malloc.arena_max=16:glibc.malloc.hugetlb=0 python -m benchmarks.default_step --results=/tmp
```

## A trace

`--config.log.trace=5` traces five steps of the stage `train`, after ten which compile and fill
caches, into the run's `tensorboard/` folder. It may be given when a run goes on. To look at it:

```bash
pip install xprof
xprof --logdir=runs/dsprites/tensorboard
```

## On accelerators

Nothing here was measured on an accelerator: none was at hand. The commands use the one that JAX
finds and name it; `train_step` then reports what share of the device's measured matrix rate a step
reaches, by XLA's count of its operations (`--batch` for the size at which that levels off).
[](scaling.md) has projections. Arrays are float32. Products are JAX's default for float32, which
is bfloat16 passes on TPUs and TF32 on recent NVIDIA GPUs; but scores that compare codes, the
search for the nearest among them, are full float32 on all.

`--config.train.products=bfloat16` rounds the inputs of every other matrix product and
convolution of a training step's loss to bfloat16, those of its gradient too, and adds in
float32 (`cvq/products.py`). Parameters, the optimizer's state, activations between layers,
distances to codes, likelihoods, posterior and losses stay float32. All that is not training
ignores the option: evaluation, during training too, and `cvq.load`; its checkpoints are like
any other's. A run goes on only with the setting that it began with; one from before there was a
choice has float32. Baselines train in float32 alone. The rounding is the same on every device;
on a CPU it makes nothing faster. What it gains on an accelerator was not measured.
"""


def page(results: pathlib.Path) -> str:
  """The whole page. results: folder of the JSON. Raises UserError where one is damaged."""
  sections = [_section(name, title, results) for name, title in SECTIONS]
  return '\n'.join([INTRODUCTION, *sections, CONCLUSION])


def _section(name: str, title: str, results: pathlib.Path) -> str:
  command = f'python -m benchmarks.{name}'
  lines = [f'## {title}', '', _text(name), '']
  path = results / f'{name}.json'
  if not path.exists():
    return '\n'.join([*lines, f'Not measured yet: `{command}`', ''])
  found = files.read_json(path, f'Write it anew: {command}')
  notes = ' '.join(found['notes'].values())
  said = (f'{notes} Measured by `{found["command"]}` on {found["machine"]}; load average at the '
          f'end {found["load"]}.')
  return '\n'.join([*lines, common.markdown(found['rows']), '', _fill(said), ''])


def _text(name: str) -> str:
  """What a benchmark's docstring says after its title and usage. Imports nothing of it."""
  source = (pathlib.Path(__file__).parent / f'{name}.py').read_text()
  doc = inspect.cleandoc(re.match(r'r?"""(.*?)"""', source, re.S)[1])
  paragraphs = doc.split('\n\n')
  return '\n\n'.join(_fill(part) for part in paragraphs[2:])


def _fill(text: str) -> str:
  return textwrap.fill(' '.join(text.split()), 100, break_long_words=False,
                       break_on_hyphens=False)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--results', default=common.RESULTS, help='default %(default)s')
  parser.add_argument('--page', default=PAGE, help='default %(default)s')
  flags = parser.parse_args()
  files.write_text(flags.page, page(pathlib.Path(flags.results)))
  print(f'Wrote {flags.page}.')


if __name__ == '__main__':
  main()
