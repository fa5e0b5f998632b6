"""Drawings in the published form are read by the builders, each image under its own factors."""

import sys

from ml_collections import ConfigDict
import numpy as np
import pytest

from benchmarks import drawings
from cvq.data.builders import cars3d, celeb_a, mpi3d, smallnorb
from cvq.data.factors import Factor, FactorSpace

SIZES = {cars3d: (2, 3, 4), smallnorb: (2, 10, 1, 3, 1), mpi3d: (2, 2, 2, 1, 3, 3, 2)}


def write(monkeypatch, folder, name):
  monkeypatch.setattr(sys, 'argv', ['drawings', name, f'--folder={folder}'])
  drawings.main()


def test_draw():
  images = drawings.draw(np.asarray([[0, 4], [3, 0]]), (4, 5), 40, 20)
  assert images.shape == (2, 40, 20) and images.dtype == np.uint8
  # The first bar is in the left half and a quarter high, the second is as high as the image.
  assert (images[0, 30:, :8] == 60 + 195 // 4).all() and not images[0, :30, :10].any()
  assert (images[0, :, 10:18] == 255).all() and not images[:, :, 18:].any()
  assert (images[1, :, :8] == 255).all() and (images[1, 32:, 10:18] == 60 + 195 // 5).all()


def test_cells_in_rows():
  image, = drawings.draw(np.eye(1, 40, 13, dtype=int), (2,) * 40, 80, 100)
  assert (image[20:40, 30:38] == 255).all() and (image == 255).sum() == 20 * 8


@pytest.mark.parametrize('builder', SIZES, ids=lambda builder: builder.__name__.split('.')[-1])
def test_grids(tmp_path, monkeypatch, builder):
  space = FactorSpace([Factor(factor.name, size, factor.kind)
                       for factor, size in zip(builder.SPACE.factors, SIZES[builder])])
  monkeypatch.setattr(builder, 'SPACE', space)
  monkeypatch.setattr(drawings, '_BLOCK', 7)
  write(monkeypatch, tmp_path, builder.__name__.split('.')[-1])
  images, = [builder.SOURCES[source](tmp_path) for source in ('published', 'real')
             if source in builder.SOURCES]
  index = np.arange(space.num_images)
  read = images.read(index)[..., 0].astype(float)
  drawn = drawings.draw(space.to_factors(index), space.sizes, 64, 64)
  distance = np.square(read[:, None] - drawn).mean((2, 3))
  np.testing.assert_array_equal(distance.argmin(1), index)


def test_photographs(tmp_path, monkeypatch):
  monkeypatch.setattr(celeb_a, 'NUM_IMAGES', 29)
  write(monkeypatch, tmp_path, 'celeb_a')
  # Cells of the second of four rows, which the crop leaves whole: its foot is 69 rows below the
  # crop's edge, at 64 pixels 25 or more.
  images = celeb_a.open_published(
      tmp_path, ConfigDict({'attributes': celeb_a.ATTRIBUTES[10:20]}))
  bright = images.read(np.arange(29))[:, 29, (6.4 * np.arange(10) + 2.5).astype(int), 0] > 200
  np.testing.assert_array_equal(images.combination, images.space.to_index(bright.astype(int)))
  assert 0 < bright.mean() < 1
  np.testing.assert_array_equal(np.bincount(images.published_split), [23, 3, 3])


def test_a_folder_with_files_is_refused(tmp_path, monkeypatch, capsys):
  (tmp_path / 'mpi3d_real.npz').write_bytes(b'published')
  with pytest.raises(SystemExit):
    write(monkeypatch, tmp_path, 'mpi3d')
  assert 'not empty' in capsys.readouterr().err
