"""Data shared by the tests of cvq.data."""

from ml_collections import ConfigDict
import numpy as np
import pytest

from configs import common
from cvq.data.datasets import Dataset
from cvq.data.factors import Factor, FactorSpace
from cvq.data.images import ArrayImages


@pytest.fixture(name='dataset_config')
def fixture_dataset_config(tmp_path) -> ConfigDict:
  config = common.base().dataset
  config.update(name='dsprites', source='rendered', data_dir=str(tmp_path))
  return config


@pytest.fixture(name='space', scope='session')
def fixture_space() -> FactorSpace:
  """Three factors, one of each kind: 5 x 4 x 6 = 120 images, 6 actions."""
  return FactorSpace((Factor('hue', 5, 'cyclic'), Factor('kind', 4, 'unordered'),
                      Factor('size', 6)))


@pytest.fixture(name='dataset', scope='session')
def fixture_dataset(space) -> Dataset:
  """Images whose first three pixels are their factor values."""
  array = np.zeros((space.num_images, 4, 4, 1), np.uint8)
  array[:, 0, :3, 0] = space.to_factors(np.arange(space.num_images))
  return Dataset('small', space, ArrayImages(space, array))
