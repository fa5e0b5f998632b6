"""Writes the published files of a dataset, filled with drawings, where they can't be downloaded.

  python -m benchmarks.drawings cars3d smallnorb mpi3d celeb_a
  python -m cvq.main --config=configs/cars3d.py --config.dataset.data_dir=runs/drawings

Names, keys, types, orders and counts are those of the published files, but not their checksums. In
a drawing each factor has a cell, with a bar whose height and shade tell its value. A photograph of
CelebA has 40 cells, one for each attribute, of random bits: the two ends of a transition differ
in the attributes that are not chosen, too.
"""

from __future__ import annotations

import argparse
import gzip
import io
import pathlib
import tarfile
from typing import Iterable
import zipfile

import numpy as np
from PIL import Image
import scipy.io

from cvq.data.builders import cars3d, celeb_a, mpi3d, smallnorb

_COLUMNS = 10                                          # cells in a row, at most
_BLOCK = 1024                                          # drawings made at once
_UINT8, _INT32 = 0x1e3d4c55, 0x1e3d4c54                # magic numbers of SmallNORB's matrices


def draw(values: np.ndarray, sizes: tuple[int, ...], height: int, width: int) -> np.ndarray:
  """Bars in cells, the first factor's on the upper left.

  Args:
    values: [n, F] of F factors. sizes: numbers of their values.

  Returns:
    [n, height, width] uint8: black around bars of shades 60 to 255.
  """
  rows = -(-len(sizes) // _COLUMNS)
  columns = -(-len(sizes) // rows)
  row, up = np.divmod((np.arange(height) + .5) * rows / height, 1)
  column, right = np.divmod((np.arange(width) + .5) * columns / width, 1)
  cell = (row[:, None] * columns + column).astype(int)
  # Cells that are left over get bars of no height.
  share = np.zeros((len(values), rows * columns), np.float32)
  share[:, :len(sizes)] = (values + 1) / np.asarray(sizes)
  share = share[:, cell]
  inside = (1 - up[:, None] < share) & (right < .8)
  return np.where(inside, 60 + 195 * share, 0).astype(np.uint8)


def write_cars3d(folder: pathlib.Path) -> None:
  """A tar.gz with a MATLAB file for each car: [128, 128, 3, azimuth, elevation]."""
  file, = cars3d.Cars3d.files
  elevations, azimuths, cars = cars3d.SPACE.sizes
  elevation, azimuth = map(np.ravel, np.indices((elevations, azimuths)))
  with tarfile.open(folder / file.name, 'w:gz', compresslevel=1) as tar:
    for car in range(cars):
      factors = np.stack([elevation, azimuth, np.full_like(azimuth, car)], 1)
      images = draw(factors, cars3d.SPACE.sizes, 128, 128).reshape(
          elevations, azimuths, 128, 128, 1)
      content = io.BytesIO()
      scipy.io.savemat(content, {'im': np.repeat(images, 3, -1).transpose(2, 3, 4, 1, 0)})
      info = tarfile.TarInfo(f'data/cars/car_{car:03}_mesh.mat')
      info.size = content.tell()
      content.seek(0)
      tar.addfile(info, content)


def write_smallnorb(folder: pathlib.Path) -> None:
  """Six gzipped matrices: labels and images of both cameras, in halves by instance."""
  space = smallnorb.SPACE
  factors = space.to_factors(np.arange(space.num_images))
  names = [file.name for file in smallnorb.Smallnorb64.files]
  halves = (0, 1, 2, 3, 5), (4, 6, 7, 8, 9)
  for half, (cat, dat, info) in zip(halves, (names[:3], names[3:])):
    chosen = factors[np.isin(factors[:, 1], half)].astype(np.int32)
    labels = chosen[:, 1:] * np.int32([1, 1, 2, 1])    # azimuths are published doubled
    _matrix(folder / cat, _INT32, (len(chosen),), [chosen[:, 0]])
    _matrix(folder / info, _INT32, labels.shape, [labels])
    _matrix(folder / dat, _UINT8, (len(chosen), 2, 96, 96), (
        np.repeat(draw(chosen[start:start + _BLOCK], space.sizes, 96, 96)[:, None], 2, 1)
        for start in range(0, len(chosen), _BLOCK)))


def _matrix(path: pathlib.Path, magic: int, shape: tuple[int, ...], blocks: Iterable[np.ndarray]
            ) -> None:
  """A binary matrix: magic number of its type, rank, at least three sizes, values."""
  sizes = [*shape, *[1] * (3 - len(shape))]
  with gzip.open(path, 'wb', 1) as file:
    file.write(np.asarray([magic, len(shape), *sizes], '<i4').tobytes())
    for block in blocks:
      file.write(block.tobytes())


def write_mpi3d(folder: pathlib.Path) -> None:
  """The npz file of source `real`: one array, factors in order, written as a stream."""
  space = mpi3d.SPACE
  header = {'descr': '|u1', 'fortran_order': False, 'shape': (space.num_images, 64, 64, 3)}
  with zipfile.ZipFile(folder / 'mpi3d_real.npz', 'w', zipfile.ZIP_DEFLATED,
                       compresslevel=1) as archive:
    with archive.open('images.npy', 'w', force_zip64=True) as file:
      np.lib.format.write_array_header_1_0(file, header)
      for start in range(0, space.num_images, _BLOCK):
        index = np.arange(start, min(start + _BLOCK, space.num_images))
        images = draw(space.to_factors(index), space.sizes, 64, 64)
        file.write(np.repeat(images[..., None], 3, -1).tobytes())


def write_celeb_a(folder: pathlib.Path) -> None:
  """Photographs in a zip archive; attributes and partition as lists in text."""
  photographs, attributes, partition = (folder / file.name for file in celeb_a.CelebA64.files)
  total, names = celeb_a.NUM_IMAGES, celeb_a.ATTRIBUTES
  bits = np.random.default_rng(0).integers(0, 2, (total, len(names)))
  file_names = [f'{number + 1:06}.jpg' for number in range(total)]
  with zipfile.ZipFile(photographs, 'w') as archive:
    archive.writestr('img_align_celeba/', b'')
    for start in range(0, total, _BLOCK):
      images = draw(bits[start:start + _BLOCK], (2,) * len(names), 218, 178)
      for name, image in zip(file_names[start:], images):
        content = io.BytesIO()
        Image.fromarray(image).convert('RGB').save(content, 'jpeg')
        archive.writestr(f'img_align_celeba/{name}', content.getvalue())
  with open(attributes, 'w') as file:
    file.write(f'{total}\n{" ".join(names)}\n')
    for name, values in zip(file_names, bits * 2 - 1):
      file.write(' '.join([name, *(f'{value:2}' for value in values)]) + '\n')
  # Parts as large as the published ones: 80, 10 and 10 %.
  ends = round(total * .8034), round(total * .9015)
  with open(partition, 'w') as file:
    for number, name in enumerate(file_names):
      file.write(f'{name} {np.searchsorted(ends, number, "right")}\n')


WRITERS = {'cars3d': write_cars3d, 'smallnorb': write_smallnorb, 'mpi3d': write_mpi3d,
           'celeb_a': write_celeb_a}


def main() -> None:
  parser = argparse.ArgumentParser(prog='python -m benchmarks.drawings', description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('datasets', nargs='+', choices=WRITERS, metavar='dataset',
                      help=', '.join(WRITERS))
  parser.add_argument('--folder', default='runs/drawings', help='an empty one, or a new one')
  given = parser.parse_args()
  folder = pathlib.Path(given.folder)
  folder.mkdir(parents=True, exist_ok=True)
  if any(folder.iterdir()):
    # It may hold published files, which took long to download.
    parser.error(f'--folder={folder}: it is not empty; name another one')
  for name in given.datasets:
    print(f'{name}: into {folder} ...', flush=True)
    WRITERS[name](folder)


if __name__ == '__main__':
  main()
