r"""Direct inverse model: a convolutional network on the pair (x, y). Retrieves, generates nothing.

  python -m cvq.main --config=configs/baselines/inverse.py
  python -m cvq.main --config=configs/baselines/inverse.py:shapes3d
  python -m cvq.main --config=configs/baselines/inverse.py:dsprites,smoke
"""

from ml_collections import ConfigDict

from configs.baselines import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment on a dataset. Raises UserError for an unknown one."""
  return common.start(
      arg, 'inverse', steps=10_000, smoke={'widths': (16, 16, 32, 32), 'hidden': 64},
      model={'widths': (32, 64, 64, 128),       # a stride-2 convolution each
             'hidden': 256},
      loss={'retrieval': 1.})
