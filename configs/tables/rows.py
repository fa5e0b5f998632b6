"""What the tables share: cells, rows, columns and charts."""

from __future__ import annotations

from typing import Any

from cvq.sweep.cells import Cell, Chart, Column, Row

NAMES = {
    'ours': 'cvq', 'paper': 'Gendron et al. 2023, mended, reduced',
    'inverse': 'inverse model', 'beta_vae': 'beta-VAE', 'ada_gvae': 'Ada-GVAE', 'qlae': 'QLAE'}
DRAWING = tuple(name for name in NAMES if name != 'inverse')      # methods with images to show
DATASETS = {'dsprites': 'dSprites', 'shapes3d': 'Shapes3D', 'sprites': 'Sprites'}
# Headline rows, of which the goals are; every other one has seed 0 alone.
SEEDS = dict.fromkeys((f'dsprites-{method}{variation}' for method in ('ours', 'inverse')
                       for variation in ('', '-half', '-pairs300')), (0, 1, 2))
WITHOUT = (' Where its fields differ from the default, cvq is without its global level, which no '
           'figure here is of; minutes of the default are with it.')
# Hearts in the right half; ellipses as well; both but at the left.
HELD_OUT, THIRD, HALF = (
    {'dataset__splits': 'compositional', 'dataset__held_out': block}
    for block in ('shape=2-2,posX=16-31', 'shape=1-2,posX=16-31', 'shape=1-2,posX=8-31'))
FEW = {'dataset__transitions_per_step': 300}           # training has 70 % of these
FEW_SHARE = '1.4 %'      # 210 of the 14,760 pairs that a step of dSprites has in training
SHORT = 1200             # joint steps of variations of our own model
LOCAL = {'model__global_level__codes': 0, 'train_global__steps': 0}
IMBALANCED = ('scale', 'scale'), ('all', 'all factors')          # in names, in words

RETRIEVAL = (
    Column('action', 'evaluation.retrieval.directed'),
    Column('factor', 'evaluation.retrieval.factor'),
    Column('weakest factor', 'evaluation.retrieval.per_factor', fold=min))
CALIBRATION = Column('calibration error', 'evaluation.retrieval.expected_calibration_error')
IMAGE = Column('image after an action, MSE', 'evaluation.intervention.mse', digits=4)
SHARE = 'actions retrieved, share'
COPY = Column('copying x, MSE', 'evaluation.intervention.copy_mse', digits=4)


def cell(dataset: str, method: str, variation: str = '', seed: int = 0, **fields: Any) -> Cell:
  """A run; `fields` are dotted names with '__' for '.'."""
  config = (f'configs/{dataset}.py' if method == 'ours'
            else f'configs/baselines/{method}.py:{dataset}')
  name = '-'.join(part for part in (dataset, method, variation, f'seed{seed}') if part)
  return Cell(name, config, tuple(
      (field.replace('__', '.'), value) for field, value in fields.items()), seed)


def seeds(dataset: str, method: str, variation: str = '', **fields: Any) -> tuple[Cell, ...]:
  """The runs of a row; `fields` as of `cell`."""
  name = '-'.join(filter(None, (dataset, method, variation)))
  return tuple(cell(dataset, method, variation, seed, **fields) for seed in SEEDS.get(name, (0,)))


def plain(methods: tuple[str, ...], datasets: tuple[str, ...] = tuple(DATASETS)
          ) -> tuple[Row, ...]:
  """A row for each dataset and method."""
  return tuple(Row((DATASETS[d], NAMES[m]), seeds(d, m)) for d in datasets for m in methods)


def variation(method: str, short: str, **fields: Any) -> tuple[Cell, ...]:
  """Runs on dSprites with other fields.

  Ours goes without its global level, which is trained last, on the frozen rest: no figure of
  these tables is its.
  """
  return seeds('dsprites', method, short, **fields, **LOCAL if method == 'ours' else {})


def varied(variations: dict[tuple[str, str], dict], methods: tuple[str, ...]) -> tuple[Row, ...]:
  """A row for each variation and method; variations are (short, long) -> fields."""
  return tuple(
      Row((long, NAMES[m]), variation(m, short, **fields) if fields else seeds('dsprites', m))
      for (short, long), fields in variations.items() for m in methods)


def across(name: str, title: str, x: str, y: str, column: Column, places: dict[str, str],
           methods: tuple[str, ...]) -> Chart:
  """A line for each method through rows of a varied table; places are first label -> name."""
  return Chart(name, title, x, y, tuple(places.values()), tuple(
      (NAMES[m], tuple(((label, NAMES[m]), column) for label in places)) for m in methods))
