"""Published archives with changed bytes: images of the right form, or the file is named.

Nothing is written beside the data directory, whatever names an archive has inside; a small file
that unfolds into gigabytes is not unfolded into memory.
"""

import gzip
import io
import pathlib
import tarfile
import zipfile

import hypothesis
from hypothesis import strategies as st
import pytest

from cvq.data.builders import cars3d, mpi3d, smallnorb
from cvq.errors import UserError
from tests.data.builders import test_cars3d, test_mpi3d, test_smallnorb
from tests.reliability import fuzzing

TOYS = {'cars3d': (cars3d, test_cars3d, cars3d.Cars3d),
        'mpi3d': (mpi3d, test_mpi3d, mpi3d.Mpi3dToy),
        'smallnorb': (smallnorb, test_smallnorb, smallnorb.Smallnorb64)}
PROMISED = 300                 # MB: what preparation may hold besides


@pytest.fixture(name='toy', params=TOYS, scope='module')
def fixture_toy(request, tmp_path_factory):
  """(builder, paths of its files) of a toy archive."""
  module, test, builder_class = TOYS[request.param]
  folder = tmp_path_factory.mktemp(request.param)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, 'SPACE', test.SPACE)
    test.write(folder)
    yield builder_class(data_dir=folder), [folder / file.name for file in builder_class.files]


def read(builder, paths) -> int:
  """Number of images; raises UserError, naming one of the paths."""
  count = 0
  try:
    for number, example in builder.generate(*paths):
      assert 0 <= number < builder.num_images() and isinstance(example['image'], bytes)
      count += 1
  except UserError as error:
    assert any(str(path) in str(error) for path in paths), error
    assert len(str(error).splitlines()) <= 3
    return 0
  return count


def test_the_toys_are_whole(toy):
  builder, paths = toy
  assert read(builder, paths) == builder.num_images()


@hypothesis.given(st.data())
@fuzzing.cases(40, 400)
def test_changed_bytes(toy, data):
  builder, paths = toy
  path = data.draw(st.sampled_from(paths))
  content = path.read_bytes()
  changed = bytearray(content)
  for _ in range(data.draw(st.integers(1, 4))):
    place = data.draw(st.integers(0, max(len(changed) - 1, 0)))
    kind = data.draw(st.sampled_from(['byte', 'cut', 'insert', 'zeros']))
    if kind == 'byte' and changed:
      changed[place] = data.draw(st.integers(0, 255))
    elif kind == 'cut':
      del changed[place:place + data.draw(st.integers(1, 200))]
    elif kind == 'insert':
      changed[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    else:
      changed[place:place + 40] = bytes(40)
  try:
    path.write_bytes(changed)
    with fuzzing.bounded(PROMISED):
      assert read(builder, paths) in (0, builder.num_images())
  finally:
    path.write_bytes(content)


def snapshot(folder: pathlib.Path) -> set[pathlib.Path]:
  return set(folder.rglob('*'))


@pytest.mark.parametrize('name', ['../escaped', '{root}/escaped', 'data/cars/../../escaped.mat'])
def test_members_that_lead_elsewhere_are_not_followed(tmp_path, monkeypatch, name):
  name = name.format(root=tmp_path)
  monkeypatch.setattr(cars3d, 'SPACE', test_cars3d.SPACE)
  inner = tmp_path / 'a' / 'data'
  inner.mkdir(parents=True)
  path = inner / test_cars3d.FILE.name
  link = tarfile.TarInfo('data/cars/car_1_mesh.mat')
  link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
  member = tarfile.TarInfo(name)
  member.size = 4
  with tarfile.open(path, 'w:gz') as tar:
    tar.addfile(member, io.BytesIO(b'evil'))
    tar.addfile(link)
  before = snapshot(tmp_path)
  assert read(cars3d.Cars3d(data_dir=inner), [path]) == 0
  assert snapshot(tmp_path) == before and not (tmp_path / 'escaped').exists()
  npz = inner / mpi3d.Mpi3dToy.files[0].name
  with zipfile.ZipFile(npz, 'w') as file:
    file.writestr(name, b'evil')
  before = snapshot(tmp_path)
  assert read(mpi3d.Mpi3dToy(data_dir=inner), [npz]) == 0
  assert snapshot(tmp_path) == before and not (tmp_path / 'escaped').exists()


class Zeros(io.RawIOBase):
  """As many as one likes, at no cost."""

  def __init__(self, size):
    self.left = size

  def readable(self):
    return True

  def readinto(self, buffer):
    size = min(len(buffer), self.left)
    buffer[:size] = bytes(size)
    self.left -= size
    return size


@pytest.mark.slow
def test_a_car_of_a_gigabyte(tmp_path, monkeypatch):
  """A megabyte of gzip that says it is a car of a gigabyte."""
  monkeypatch.setattr(cars3d, 'SPACE', test_cars3d.SPACE)
  path = tmp_path / test_cars3d.FILE.name
  with gzip.open(path, 'wb', 1) as stream, tarfile.open(fileobj=stream, mode='w|') as tar:
    for name in test_cars3d.NAMES:
      member = tarfile.TarInfo(f'data/cars/{name}.mat')
      member.size = 2**30 if name == test_cars3d.NAMES[0] else 10
      tar.addfile(member, Zeros(member.size))
  with fuzzing.bounded(PROMISED):
    assert read(cars3d.Cars3d(data_dir=tmp_path), [path]) == 0
