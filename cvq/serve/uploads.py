"""Images from outside: checked before they are decoded, brought to the form of the model."""

from __future__ import annotations

import base64
import binascii
import io
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps

from cvq.errors import UserError

FORMATS = ('PNG', 'JPEG', 'WEBP', 'GIF')
MAX_PIXELS = 25_000_000        # one in colours with transparency is read within 400 MB
_ALONE = threading.Lock()      # a server has several threads; that memory is taken once
_PREFIX = 'data:image/png;base64,'


def read(content: bytes, shape: tuple[int, int, int]) -> tuple[np.ndarray, list[str]]:
  """An encoded image as the model takes it.

  Args:
    content: of a PNG, JPEG, WebP or GIF file; of several frames the first is taken.
    shape: (H, W, C) of the model's images, C = 1 or 3.

  Returns:
    [H, W, C] uint8, and what had to be changed, in sentences for the reader.

  Raises:
    UserError: another format, too many pixels, a damaged or truncated file.
  """
  if not content:
    raise UserError('The file is empty; choose a PNG, JPEG, WebP or GIF image.')
  try:
    with _ALONE, warnings.catch_warnings():
      warnings.simplefilter('ignore')                  # Pillow warns of what is refused below
      image = Image.open(io.BytesIO(content), formats=FORMATS)
      width, height = image.size
      # Known from the header: a small file may hold gigabytes.
      if width * height > MAX_PIXELS:
        raise UserError(f'The image has {width} × {height} pixels; at most {MAX_PIXELS:,} in all '
                        'are taken. Make it smaller first.')
      notes = ['Several frames: the first was taken.'] if getattr(image, 'n_frames', 1) > 1 else []
      image.load()
      image = ImageOps.exif_transpose(image)
      return _to_model(image, shape, notes)
  except UserError:
    raise
  except Image.DecompressionBombError as error:
    raise UserError(f'The image has too many pixels; at most {MAX_PIXELS:,} are taken. Make it '
                    'smaller first.') from error
  except Image.UnidentifiedImageError as error:
    raise UserError('The file is no PNG, JPEG, WebP or GIF image; choose another.') from error
  except Exception as error:  # pylint: disable=broad-except   # decoders raise what they like
    raise UserError('The image is damaged or incomplete and cannot be read; choose another.'
                    ) from error


def read_uri(text: object, shape: tuple[int, int, int], what: str) -> np.ndarray:
  """An image that the page sends back: a PNG data URI -> [H, W, C] uint8. Raises UserError."""
  if not isinstance(text, str) or not text.startswith(_PREFIX):
    raise UserError(f'{what} is missing or no PNG data URI; choose an image first.')
  try:
    content = base64.b64decode(text[len(_PREFIX):], validate=True)
  except (binascii.Error, ValueError) as error:
    raise UserError(f'{what} is no valid base64; choose the image again.') from error
  return read(content, shape)[0]


def _to_model(image: Image.Image, shape: tuple[int, int, int], notes: list[str]
              ) -> tuple[np.ndarray, list[str]]:
  height, width, channels = shape
  image, transparent = _opaque(image)
  pixels = np.asarray(image)
  coloured = image.mode == 'RGB' and (pixels != pixels[..., :1]).any()
  if transparent:
    notes.append('Transparent parts became black.')
  if channels == 1:
    if coloured:
      notes.append('Colours became grey, as the model was trained on.')
    image = image.convert('L')
  else:
    if not coloured:
      notes.append('The image is grey; the model was trained on colours.')
    image = image.convert('RGB')
  if image.size != (width, height):
    before, cropped = image.size, image.width * height != image.height * width
    notes.append(f'{before[0]} × {before[1]} pixels were '
                 f'{"cropped to the middle and " if cropped else ""}resized to '
                 f'{width} × {height}.')
    image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
  return np.asarray(image, np.uint8).reshape(shape), notes


def _opaque(image: Image.Image) -> tuple[Image.Image, bool]:
  """L or RGB on black, and whether anything shone through."""
  if image.mode.startswith('I'):                       # 16 bits: Pillow would clip them
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)), False
  if image.has_transparency_data:
    image = image if image.mode == 'RGBA' else image.convert('RGBA')     # a copy is 100 MB
    alpha = image.getchannel('A')
    ground = Image.new('RGB', image.size)
    ground.paste(image, mask=alpha)
    return ground, alpha.getextrema()[0] < 255
  return image.convert('L' if image.mode in ('1', 'L') else 'RGB'), False
