"""A toy run, trained once, and its report."""

import json
import pathlib
import types

import pytest

from cvq import train
from cvq.evaluation.disentanglement import battery
from cvq.report import collect, sections
from tests import tiny

SIZES = sections.Sizes(images=200, pairs=24, chains=12, steps=4, shown_steps=3, graphs=4,
                       failures=3, plans=(2, 3), shown_plan=3, strips=2)


def tiny_config(seed: int = 0):
  """Images in four patches: 2 codebooks, 8 variables."""
  config = tiny.get_config()
  config.seed = seed
  config.model.encoder.patch = config.model.decoder.patch = 32
  config.model.quantizer.codebooks = 2
  return config


@pytest.fixture(scope='session', name='toy')
def fixture_toy(once):
  """.workdir, .config, .report of a toy run that stands beside one of another seed."""
  folder = once('toy', _write)
  return types.SimpleNamespace(workdir=folder / 'run-0', config=tiny_config(),
                               report=json.loads((folder / 'returned.json').read_text()))


def _write(folder: pathlib.Path) -> None:
  for seed in (0, 1):
    train.train(tiny_config(seed), str(folder / f'run-{seed}'))
  with pytest.MonkeyPatch.context() as patch:         # boosted trees of 40 classes take a minute
    for slow in ('dci', 'sap', 'infomec'):
      patch.delitem(battery.SLOW, slow)
    patch.setenv('CVQ_DATA_DIR', str(folder / 'data'))           # where the oracle is put
    report = collect.write_report(tiny_config(), str(folder / 'run-0'),
                                  compare=[str(folder / 'run-1')], sizes=SIZES)
  (folder / 'returned.json').write_text(json.dumps(report))
