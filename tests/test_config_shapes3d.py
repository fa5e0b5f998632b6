"""Presets of configs/shapes3d.py are valid and fit the dataset."""

import numpy as np
import pytest

from configs import shapes3d
from cvq import config as configuration
from cvq.data.builders.shapes3d import SPACE


@pytest.mark.parametrize('arg', ['', 'smoke', 'paper', 'paper,batch=8'])
def test_presets_are_valid(arg):
  config = shapes3d.get_config(arg)
  configuration.validate(config)
  configuration.validate_image_shape(config, (64, 64, 3))
  configuration.validate_devices(config, 1, 1)
  assert config.model.decoder.bias == 0


def test_paper_draws_modes_by_the_sizes_of_the_training_split():
  steps = 2 * np.sum(np.asarray(SPACE.sizes) - 1)
  images, transitions, same = shapes3d.get_config('paper').train.mode_weights
  assert images == round(SPACE.num_images * .7)
  assert transitions == same == round(steps * 1000 * .7)
