"""The page in a real browser, over a real server: what a reader clicks is what happens."""

import threading

import numpy as np
from PIL import Image
import pytest
import waitress

from tests.browser import BROWSER, Page

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(BROWSER is None, reason='needs Chromium')]

# The red channel of an image, 16 x 16 numbers.
_PIXELS = """(async (image) => {
  await image.decode();
  const canvas = new OffscreenCanvas(16, 16).getContext('2d');
  canvas.drawImage(image, 0, 0);
  return [...canvas.getImageData(0, 0, 16, 16).data].filter((_, i) => i % 4 === 0);
})"""


@pytest.fixture(name='address')
def fixture_address(toy_app):
  server = waitress.create_server(toy_app, host='127.0.0.1', port=0)
  thread = threading.Thread(target=server.run, daemon=True)
  thread.start()
  yield f'http://127.0.0.1:{server.effective_port}/'
  server.close()


@pytest.fixture(name='page')
def fixture_page(tmp_path):
  with Page(tmp_path / 'profile') as page:
    yield page


def pixels(page, selector):
  found = page.run(f'{_PIXELS}(document.querySelector("{selector} img"))')
  return np.asarray(found).reshape(16, 16)


def column(page, selector):
  """Where the white block is, in positions of the grid."""
  return int(pixels(page, selector)[0, ::4].argmax())


def test_a_visit(page, address, tmp_path):
  page.open(address)
  page.wait('steps.length && !busy')                   # a random image, by itself
  assert column(page, '#now') == 0

  page.click('[data-action="right+1"]')
  page.wait('steps.length === 2 && !busy')
  assert column(page, '#before') == 0 and column(page, '#now') == 1
  assert page.run('moved.textContent') == (
      'right+1 moved 4 of 32 codes, in 2 of 16 positions.')
  outlined = 'document.querySelectorAll("#now rect").length'
  assert page.run(outlined) == 2
  page.click('#show')
  assert page.run(outlined) == 0
  assert page.run('mask.naturalWidth') == 4 and page.run('graph.naturalWidth') == 16

  # The result is what the next action starts from; by keyboard this time.
  page.run('document.querySelector(\'[data-action="right+1"]\').focus()')
  page.key('Enter')
  page.wait('steps.length === 3 && !busy')
  assert column(page, '#now') == 2
  page.click('#undo')
  assert column(page, '#now') == 1 and page.run('steps.length') == 3
  page.click('#history li:last-child button')
  assert column(page, '#now') == 2
  page.click('#reset')
  assert column(page, '#now') == 0 and page.run('steps.length') == 1

  # Two images.
  page.click('#rank')
  assert 'Two images' in page.run('message.textContent')
  page.click('#pair')
  page.wait('target && !busy')
  assert column(page, '#from') == 0 and column(page, '#to') == 1
  page.click('#rank')
  page.wait('document.querySelector(".bars")')
  widths = page.run('[...document.querySelectorAll(".bars td div")].map(e => e.style.width)')
  np.testing.assert_allclose([float(w.rstrip('%')) for w in widths],
                             [1000 / 13, 100 / 13, 100 / 13, 100 / 13], rtol=1e-3)
  assert page.run('document.querySelector(".bars th").textContent') == 'right+1'
  page.click('#plan')
  page.wait('document.querySelector(".film.large")')
  assert page.run('document.querySelectorAll(".film.large img").length') == 3
  assert '1 action: right+1' in page.run('answer.textContent')

  # A good upload with a note, a bad one with a message; the image stays.
  Image.new('RGB', (40, 20), (255, 0, 0)).save(tmp_path / 'red.png')
  (tmp_path / 'bad.png').write_bytes((tmp_path / 'red.png').read_bytes()[:60])
  (tmp_path / 'huge.png').write_bytes(bytes(5 * 2**20))
  page.choose_file('[data-upload=x]', tmp_path / 'red.png')
  page.wait('steps[0].label === "uploaded" && !busy')
  assert '40 × 20 pixels' in page.run('document.getElementById("note-x").textContent')
  quiet = list(page.complaints)
  page.choose_file('[data-upload=x]', tmp_path / 'bad.png')
  page.wait('message.textContent.includes("damaged") && !message.hidden && !busy')
  page.choose_file('[data-upload=x]', tmp_path / 'huge.png')
  page.wait('message.textContent.includes("5.0 MB")')
  assert page.run('steps.length === 1 && steps[0].label === "uploaded"')

  # A drawing, by keyboard: a square of white on black at the middle.
  page.click('[data-draw=x]')
  page.click('#clear')
  page.run('document.querySelector("#editor canvas").focus()')
  page.key(' ')
  page.click('#use')
  page.wait('!editor.open && steps[0].label === "drawn"')
  drawn = pixels(page, '#now')
  assert drawn[8, 8] == 255 and np.count_nonzero(drawn) == 1

  assert not quiet, quiet
  # The browser itself reports the answer 400 to the bad upload, and nothing else.
  assert all('400' in one for one in page.complaints), page.complaints
  assert {a for a in page.addresses if not a.startswith(('data:', 'blob:'))} == {
      address, *(address + path for path in ('random', 'intervene', 'retrieve', 'plan', 'upload'))}


def test_narrow_and_dark(page, address):
  for scheme, ground in (('light', 'rgb(255, 255, 255)'), ('dark', 'rgb(18, 22, 28)')):
    page.open(address, width=390, scheme=scheme)
    page.wait('steps.length && !busy')
    assert page.run('new Promise((tell) => { scrollTo({top: 0, behavior: "instant"}); show(); '
                    'setTimeout(() => tell(scrollY), 200); })') == 0   # it stays where it is
    page.click('[data-action="right+1"]')
    page.wait('steps.length === 2 && !busy')
    assert page.run('getComputedStyle(document.body).backgroundColor') == ground
    assert page.run('document.documentElement.scrollWidth') <= 390
  assert not page.complaints
