"""Uploaded images of any content: the model's form or a reason, within a bound of memory."""

import zlib

import hypothesis
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest

from cvq.errors import UserError
from cvq.serve import uploads
from tests.reliability import fuzzing
from tests.serve.test_uploads import COLOUR, GREY, bomb, encoded

MODES = {'PNG': ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'], 'JPEG': ['L', 'RGB', 'CMYK'],
         'WEBP': ['RGB', 'RGBA'], 'GIF': ['L', 'P', 'RGB']}
PROMISED = 450                 # MB that an upload may take while it is read


def picture(form, mode, width, height, seed):
  pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
  image = (Image.fromarray(pixels[..., 0].astype(np.uint16) << 8) if mode == 'I;16'
           else Image.fromarray(pixels).convert('RGB').convert(mode))
  return encoded(image, form)


@hypothesis.given(st.data())
@fuzzing.cases(150, 2000)
def test_any_bytes(data):
  form = data.draw(st.sampled_from(sorted(MODES)))
  mode = data.draw(st.sampled_from(MODES[form]))
  width, height = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
  content = bytearray(picture(form, mode, width, height, data.draw(st.integers(0, 3))))
  changes = data.draw(st.integers(0, 3))
  for _ in range(changes):
    place = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(['byte', 'cut', 'end', 'insert']))
    if kind == 'byte':
      content[place] = data.draw(st.integers(0, 255))
    elif kind == 'cut':
      del content[place:place + data.draw(st.integers(1, 50))]
    elif kind == 'end':
      del content[place + 1:]
    else:
      content[place:place] = data.draw(st.binary(min_size=1, max_size=20))
    content = content or bytearray(b'\0')
  shape = data.draw(st.sampled_from([GREY, COLOUR]))
  with fuzzing.bounded(PROMISED):
    try:
      image, notes = uploads.read(bytes(content), shape)
    except UserError as error:
      assert changes and len(str(error).splitlines()) == 1
      return
  assert image.shape == shape and image.dtype == np.uint8
  assert all(isinstance(note, str) for note in notes)


@hypothesis.given(st.binary(max_size=300))
@fuzzing.cases(50, 1000)
def test_no_image_at_all(content):
  for form in (b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff', b'GIF89a', b'RIFF\0\0\0\0WEBP'):
    with pytest.raises(UserError):
      uploads.read(form + content, GREY)


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'P', 'I;16'])
def test_the_largest_that_is_taken(mode):
  """A few kilobytes that unfold into 25 million pixels."""
  side = int(uploads.MAX_PIXELS ** .5)
  image = Image.new(mode, (side, side))
  if mode == 'P':
    image.info['transparency'] = 0
  content = encoded(image)
  del image
  assert len(content) < 2**19
  with fuzzing.bounded(PROMISED):
    found, _ = uploads.read(content, COLOUR)
  assert found.shape == COLOUR and not found.any()


@pytest.mark.parametrize('width, height', [(2**31 - 1, 1), (1, 2**31 - 1), (65_000, 65_000),
                                           (5_001, 5_000), (0, 5), (5, 0)])
def test_sizes_that_are_only_promised(width, height):
  with fuzzing.bounded(20):
    with pytest.raises(UserError):
      uploads.read(bomb(width, height), GREY)


def test_text_that_unfolds_inside_an_image():
  """PNG and its compressed comments: Pillow bounds them."""
  def chunk(kind, content):
    return len(content).to_bytes(4, 'big') + kind + content + zlib.crc32(
        kind + content).to_bytes(4, 'big')
  content = encoded(Image.new('L', (16, 16)))
  text = chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**28)))
  with fuzzing.bounded(100):
    try:
      uploads.read(content[:33] + text + content[33:], GREY)
    except UserError:
      pass
