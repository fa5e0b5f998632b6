r"""QLAE (Hsu et al. 2023): an autoencoder with quantized scalar latents and strong weight decay,
and an MLP on them that predicts transitions.

  python -m cvq.main --config=configs/baselines/qlae.py
  python -m cvq.main --config=configs/baselines/qlae.py:shapes3d
  python -m cvq.main --config=configs/baselines/qlae.py:dsprites,smoke
"""

from ml_collections import ConfigDict

from configs.baselines import common


def get_config(arg: str = '') -> ConfigDict:
  """The experiment on a dataset. Raises UserError for an unknown one."""
  config = common.latent(
      arg, 'qlae', steps=5_000,
      model={'latents': 12,                     # about twice the factors
             'codes': 10},                      # values of a latent
      loss={'reconstruction': 1.,               # mean over pixels
            'quantization': .01,                # moves values to latents
            'commitment': .01})                 # moves latents to values
  if config.dataset.name == 'sprites':
    config.model.latents = 18
  config.train.learning_rate = 3e-3
  config.train.weight_decay = .1                # with 1 it retrieves less
  return config
