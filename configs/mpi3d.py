r"""MPI3D: colour 6, shape 6, size 2, camera 3, background 3, arm 40 x 40; 14 actions.

  python -m cvq.main --config=configs/mpi3d.py

Sources: real (photographs), realistic and toy (rendered), by --config.dataset.source. The array
of each (mpi3d_real.npz, 12.7 GB) is downloaded on first use, or taken from
--config.dataset.data_dir.

Presets, after a colon; fields may follow as shorthands (`batch`, `steps`, `seed`):
  (none)   the default model: patch-local codes, tied embeddings, explicit mask and graph.
  smoke    the same at a small size, to see everything once.
  best     three times as many joint steps, a second round of messages and alternatives.
  paper    Gendron et al. 2023: convolutional MCQ-VAE, then the CT layer on frozen codes.

  --config=configs/mpi3d.py:smoke
  --config=configs/mpi3d.py:paper,seed=1
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment of a preset. Raises UserError for an unknown preset or shorthand."""
  # For the paper: 93 factor steps (5 + 5 + 1 + 2 + 2 + 39 + 39) of 1,000 pairs.
  return common.experiment(arg, 'mpi3d', 'real', images=725_760, transitions=130_200)
