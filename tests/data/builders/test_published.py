"""Downloads from a server on this machine that can fail in the ways servers do."""

from concurrent import futures
import contextlib
import errno
import hashlib
import http.server
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image
import pytest
import requests
import tensorflow_datasets as tfds

from cvq.data import prepare, published
from cvq.data.factors import Factor, FactorSpace
from cvq.errors import UserError
from tests.data.builders import archives

SPACE = FactorSpace((Factor('row', 7), Factor('column', 5)))
INDEX = np.arange(35)
CONTENT = np.random.default_rng(0).bytes(5000)


class Server(http.server.ThreadingHTTPServer):
  """Serves CONTENT under any path.

  Attributes:
    ranges: whether it honours requests for a range. fails_after: bytes after which it breaks off.
    status: of its answers, where it refuses them. asked: the ranges of the requests.
  """
  ranges = True
  fails_after = None
  status = None

  def __init__(self):
    super().__init__(('127.0.0.1', 0), Handler)
    self.asked = []

  @property
  def url(self) -> str:
    return f'http://127.0.0.1:{self.server_port}/file'


class Handler(http.server.BaseHTTPRequestHandler):

  def answer(self) -> bytes:
    """Sends the head; returns the content."""
    wanted, server = self.headers.get('Range'), self.server
    begin = int(re.fullmatch(r'bytes=(\d+)-', wanted)[1]) if wanted and server.ranges else 0
    self.send_response(server.status or (416 if begin >= len(CONTENT) else 206 if begin else 200))
    content = b'' if server.status else CONTENT[begin:]
    self.send_header('Content-Length', str(len(content)))
    self.end_headers()
    return content

  do_HEAD = answer

  def do_GET(self):
    self.server.asked.append(self.headers.get('Range'))
    with contextlib.suppress(BrokenPipeError):
      self.wfile.write(self.answer()[:self.server.fails_after])

  def log_message(self, *_):
    pass


@pytest.fixture(autouse=True)
def fixture_small(monkeypatch):
  monkeypatch.setattr(published, '_CHUNK', 500)        # bytes


@pytest.fixture(name='server')
def fixture_server():
  with Server() as server:
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': .01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()


@pytest.fixture(name='builder')
def fixture_builder(server) -> type[published.Builder]:
  return builder_of(published.File('some.bin', server.url, digest('sha256')))


def digest(algorithm: str) -> str:
  return f'{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}'


def builder_of(*files: published.File, fails_at: int | None = None) -> type[published.Builder]:
  class Small(published.Builder, skip_registration=True):
    """Images that show their index, in an order of their own."""
    VERSION = tfds.core.Version('1.0.0')
    title = 'Small'
    labels = SPACE.names
    channels = 1

    def num_images(self):
      return SPACE.num_images

    def generate(self, *paths):
      with published.reading(paths[0]):
        if any(path.read_bytes() != CONTENT for path in paths):
          raise ValueError('other content')
        for index in range(34, -2, -1):
          if index == fails_at:
            raise ValueError('bad image')
          if index < 0:
            return
          image = Image.fromarray(np.full((96, 128), index, np.uint8))
          yield index, {'image': published.png(published.shrink(image)),
                        **dict(zip(self.labels, SPACE.to_factors(index).tolist()))}
  Small.files = files
  return Small


def open_(builder, data_dir: pathlib.Path):
  return published.open_grid(builder, SPACE, data_dir)


def check(builder, data_dir: pathlib.Path):
  images = open_(builder, data_dir)
  assert images.image_shape == (64, 64, 1)
  assert (images.read(INDEX) == INDEX[:, None, None, None]).all()
  assert images.read(INDEX[:0]).shape == (0, 64, 64, 1)


@pytest.mark.parametrize('reading', [prepare.reading, published.reading])
@pytest.mark.parametrize('error, remedy', [
    (PermissionError(errno.EACCES, 'closed'), 'right'), (OSError(errno.EMFILE, ''), 'ulimit -n'),
    (RuntimeError('open() failed: Too many open files; opening x'), 'ulimit -n'),  # array_record
    (MemoryError(), None)])
def test_what_may_be_whole_is_not_called_damaged(reading, error, remedy):
  with pytest.raises(UserError if remedy else MemoryError) as found:
    with reading(pathlib.Path('some/file')):
      raise error
  if remedy:
    assert re.search(f'(?s)^some/file cannot be read: .*{remedy}', str(found.value))
    assert 'damaged' not in str(found.value) and 'elete' not in str(found.value)


@pytest.mark.parametrize('shard', [1, 8, 35, 100])
def test_images_in_several_files_of_records(tmp_path, builder, monkeypatch, shard):
  monkeypatch.setattr(published, '_SHARD', shard)
  check(builder, tmp_path)
  assert len(list((tmp_path / 'small/1.0.0').glob('*.array_record*'))) == -(-35 // shard)


@pytest.mark.parametrize('algorithm', ['md5', 'sha256'])
def test_download(tmp_path, server, algorithm):
  check(builder_of(published.File('some.bin', server.url, digest(algorithm))), tmp_path)
  assert (tmp_path / 'some.bin').read_bytes() == CONTENT
  assert not list(tmp_path.glob('*.partial')) and server.asked == [None]


@pytest.mark.parametrize('partial', [b'', CONTENT[:1000], CONTENT])
def test_download_without_a_known_checksum(tmp_path, server, partial):
  (tmp_path / 'some.bin.partial').write_bytes(partial)
  check(builder_of(published.File('some.bin', server.url)), tmp_path)
  assert (tmp_path / 'some.bin').read_bytes() == CONTENT


def test_a_second_process_waits_for_the_first_ones_download(tmp_path, server, builder, capfd):
  obtain = lambda: published._obtain(builder, builder.files[0], tmp_path)
  with futures.ThreadPoolExecutor(1) as pool:
    with published._alone(tmp_path):
      second = pool.submit(obtain)
      while 'waiting for it' not in capfd.readouterr().out:
        time.sleep(.01)
      (tmp_path / 'some.bin').write_bytes(CONTENT)
    assert second.result(60).read_bytes() == CONTENT
  assert server.asked == []


def test_only_what_is_missing_is_downloaded(tmp_path, server):
  builder = builder_of(*(published.File(name, server.url, digest('md5')) for name in 'abc'))
  (tmp_path / 'b').write_bytes(CONTENT)
  check(builder, tmp_path)
  assert len(server.asked) == 2
  for name in 'abc':
    (tmp_path / name).unlink()
  check(builder, tmp_path)                             # prepared once and for all
  assert len(server.asked) == 2


@pytest.mark.parametrize('ranges', [True, False])
def test_broken_download_is_resumed(tmp_path, server, builder, ranges):
  server.fails_after, server.ranges = 2000, ranges
  with pytest.raises(UserError, match='the same command goes on with it') as error:
    open_(builder, tmp_path)
  archives.assert_helps(error, str(tmp_path), f'{server.url} as some.bin', *archives.COMMON)
  archives.assert_nothing_prepared(tmp_path, ['some.bin.partial'])
  server.fails_after = None
  check(builder, tmp_path)
  assert (tmp_path / 'some.bin').read_bytes() == CONTENT
  assert server.asked == [None, 'bytes=2000-']


def test_complete_download_that_was_not_checked(tmp_path, server, builder):
  """The process died before it had renamed the file."""
  (tmp_path / 'some.bin.partial').write_bytes(CONTENT)
  check(builder, tmp_path)
  assert server.asked == ['bytes=5000-']


@pytest.mark.parametrize('partial', [b'', b'other' * 100, b'other' * 10_000])
def test_wrong_checksum(tmp_path, builder, partial):
  """What an earlier attempt left is of another file: it is deleted, and the next try works."""
  (tmp_path / 'some.bin.partial').write_bytes(partial)
  if partial:
    with pytest.raises(UserError, match='what came for some.bin .* bytes. does not have') as error:
      open_(builder, tmp_path)
    assert digest('sha256') in str(error.value)
    archives.assert_helps(error, str(tmp_path), *archives.COMMON)
    archives.assert_nothing_prepared(tmp_path)
  check(builder, tmp_path)


def test_server_that_refuses(tmp_path, server, builder):
  server.status = 404
  with pytest.raises(UserError, match='127.0.0.1 cannot be reached .HTTPError') as error:
    open_(builder, tmp_path)
  archives.assert_helps(error, *archives.COMMON)
  assert not server.asked
  with pytest.MonkeyPatch.context() as patch:          # it was there a moment ago
    patch.setattr(prepare, 'unreachable', lambda url: None)
    with pytest.raises(UserError, match='download failed .404') as error:
      open_(builder, tmp_path)
  archives.assert_helps(error, *archives.COMMON)
  archives.assert_nothing_prepared(tmp_path)
  server.status = None
  check(builder, tmp_path)


@pytest.mark.usefixtures('offline')
def test_no_network(tmp_path, builder):
  with pytest.raises(UserError, match='Small is not in .* cannot be reached') as error:
    open_(builder, tmp_path)
  archives.assert_helps(error, str(tmp_path), 'some.bin', *archives.COMMON)
  archives.assert_nothing_prepared(tmp_path)
  (tmp_path / 'some.bin').write_bytes(CONTENT)
  check(builder, tmp_path)


def test_full_disk_while_downloading(tmp_path, builder, monkeypatch):
  def full(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(prepare, 'unreachable', lambda url: None)
  with monkeypatch.context() as patch:
    patch.setattr(requests.Response, 'iter_content', full)
    with pytest.raises(UserError, match='cannot be written: No space left on device') as error:
      open_(builder, tmp_path)
  archives.assert_helps(error, str(tmp_path))
  check(builder, tmp_path)


def test_full_disk_while_preparing(tmp_path, builder):
  archives.assert_full_disk_is_survived(
      lambda data_dir: open_(builder, data_dir), tmp_path, ['some.bin'])


@pytest.mark.parametrize('shard', [4, 7])
@pytest.mark.parametrize('fails_at', [20, 0, -1])
def test_damage_that_shows_late(tmp_path, server, monkeypatch, shard, fails_at):
  """Even after the last image. Shards that were written before it do not stay."""
  monkeypatch.setattr(published, '_SHARD', shard)
  file = published.File('some.bin', server.url, digest('md5'))
  (tmp_path / 'some.bin').write_bytes(CONTENT)
  archives.assert_damage_is_named(
      lambda data_dir: open_(builder_of(file, fails_at=fails_at), data_dir), tmp_path,
      tmp_path / 'some.bin', 'bad image', ['some.bin'])
  check(builder_of(file), tmp_path)


_CHILD = """
import os, pathlib, resource, signal, sys, threading
from tests.data.builders import test_published as test
server = test.Server()
threading.Thread(target=server.serve_forever, daemon=True).start()
test.published._SHARD = 10
{prelude}
file = test.published.File('some.bin', server.url, test.digest('md5'))
try:
  test.check(test.builder_of(file), pathlib.Path(sys.argv[1]))
except test.UserError as error:
  print('UserError', error)
sys.exit('tensorflow' in sys.modules)
"""
_DIES = """
png = test.published.png
def dies(image, count=[0]):
  count[0] += 1
  if count[0] == 25:
    os.kill(os.getpid(), signal.SIGKILL)
  return png(image)
test.published.png = dies
"""


def run_child(data_dir: pathlib.Path, prelude: str = '') -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, '-c', _CHILD.format(prelude=prelude), str(data_dir)], check=False,
      capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[3])


def test_killed_preparation_is_repeated(tmp_path):
  """By one that needs no TensorFlow, neither to prepare nor to read."""
  assert run_child(tmp_path, _DIES).returncode == -signal.SIGKILL
  assert any((tmp_path / 'small').iterdir())           # something was begun,
  assert not (tmp_path / 'small/1.0.0').exists()       # and is not taken for prepared data
  child = run_child(tmp_path)
  assert child.returncode == 0, child.stderr
  assert not child.stdout.startswith('UserError')


def test_limit_on_the_size_of_files(tmp_path):
  """Stands in for a disk that is full while array_record writes."""
  child = run_child(tmp_path, 'resource.setrlimit(resource.RLIMIT_FSIZE, (6_000,) * 2)')
  assert 'UserError' in child.stdout and 'cannot be written' in child.stdout
  archives.assert_nothing_prepared(tmp_path, ['some.bin'])
