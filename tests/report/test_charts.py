"""Charts: drawn within their page, to scale, and readable again as images."""

import base64
import io
from xml.etree import ElementTree

import numpy as np
from PIL import Image
import pytest

from cvq.report import charts, svg

NAMES = ['shape', 'orientation', 'posX']


def elements(drawn, tag):
  root = ElementTree.fromstring(base64.b64decode(drawn.uri().partition(';base64,')[2]))
  return [e for e in root.iter() if e.tag.endswith(f'}}{tag}')]


def inside(drawn):
  for text in elements(drawn, 'text'):
    assert 0 <= float(text.get('x')) <= drawn.width and 0 <= float(text.get('y')) <= drawn.height
  for line in elements(drawn, 'polyline'):
    points = np.array([p.split(',') for p in line.get('points').split()], float)
    assert (points >= 0).all() and (points <= [drawn.width, drawn.height]).all()


@pytest.mark.parametrize('values', [
    [.3, .5, .1], [1e-6, 5., 300.], [0., 0., 0.], [7., 7., 7.], [-3., 2., 40.], [1e-9, 2e-9, 1e-9],
    [1e8, 2e8, 1e9]])
@pytest.mark.parametrize('from_zero', [False, True])
def test_lines_stay_on_the_page_and_keep_their_order(values, from_zero):
  if from_zero and min(values) < 0:
    return
  drawn = charts.lines([('training', [0, 10, 20], values), ('validation', [10], values[:1])],
                       x_label='step', y_label='loss', from_zero=from_zero)
  inside(drawn)
  points = elements(drawn, 'polyline')[0].get('points').split()
  y = [float(p.split(',')[1]) for p in points]
  assert np.sign(np.subtract.outer(y, y)).tolist() == (
      -np.sign(np.subtract.outer(values, values))).tolist()


@pytest.mark.parametrize('steps', [20, 4_000, 100_000])
def test_labels_of_steps_are_whole(steps):
  drawn = charts.lines([('training', [0, steps], [1., 2.])], x_label='step', y_label='loss')
  labels = [text for text in elements(drawn, 'text') if text.text.replace(',', '').isdigit()
            and text.get('text-anchor') == 'middle']
  assert f'{steps:,}' in [text.text for text in labels]
  for text in labels:                                  # 11 px high, a digit takes 7 at most
    assert float(text.get('x')) + 3.5 * len(text.text) <= drawn.width


def test_places_have_their_names_below_and_a_dot_in_the_lines_colour():
  drawn = charts.lines([('a', [0, 2], [1., 2.]), ('b', [1, 2], [.004632, .5])], x_label='n',
                       y_label='share', x_names=('few', 'some', 'all'))
  inside(drawn)
  place = {text.text: float(text.get('x')) for text in elements(drawn, 'text')}
  assert place['some'] - place['few'] == pytest.approx(place['all'] - place['some'], abs=.2)
  dots = [(dot.get('class'), float(dot.get('cx'))) for dot in elements(drawn, 'circle')]
  assert dots == [('one-dot', place['few']), ('one-dot', place['all']),
                  ('two-dot', place['some']), ('two-dot', place['all'])]
  for text in elements(drawn, 'text'):                 # numbers keep clear of the turned label
    if text.get('text-anchor') == 'end':
      assert float(text.get('x')) - 6 * len(text.text) > 14


def test_matrix_writes_every_value_that_counts():
  values = np.array([[1., 0, .004], [.25, .75, 0]])
  drawn = charts.matrix(values, ['a', 'b'], NAMES, row_label='true', column_label='retrieved')
  inside(drawn)
  texts = [text.text for text in elements(drawn, 'text')]
  assert [t for t in texts if t[-1].isdigit()] == ['1.00', '.25', '.75']


def test_reliability_dots_lie_where_they_should():
  drawn = charts.reliability([.25, None, 1.], [.5, None, 1.], [3, 0, 9])
  inside(drawn)
  a, b = [(float(dot.get('cx')), float(dot.get('cy'))) for dot in elements(drawn, 'circle')]
  assert a[0] < b[0] and a[1] > b[1]
  # Half of the height is half of an axis that ends at 1.
  assert (b[0] - a[0]) / .75 == pytest.approx(348 - 52, abs=.5)


def test_heat_is_transparent_at_0_and_opaque_at_the_limit():
  uri = svg.heat_uri(np.array([[0., 1., 2.], [4., 1., 9.]]), 4.)
  image = Image.open(io.BytesIO(base64.b64decode(uri.partition(';base64,')[2])))
  np.testing.assert_array_equal(np.asarray(image)[..., 3], [[0, 64, 128], [255, 64, 255]])


def test_maps_and_strips_hold_every_image():
  rng = np.random.default_rng(0)
  maps = charts.maps([('moved\nmean', rng.random((3, 4, 4))), ('mask', rng.random((3, 4, 4)))],
                     NAMES, row_label='row', column_label='column', limit=1.)
  inside(maps)
  assert len(elements(maps, 'image')) == 7                      # and the colour bar
  images = list(rng.random((3, 8, 8, 1)))
  strips = charts.strips([('shape+1', [('model', images), ('true', [images[0], None, None])])],
                         ['x', 'k = 1', 'k = 2'])
  inside(strips)
  assert len(elements(strips, 'image')) == 4
  assert 'end of range' in [text.text for text in elements(strips, 'text')]
  plans = charts.strips([('arrives', [('model', images)])] * 2, ['x', '1', 'target'],
                        captions=[['', 'posX+1'], ['', 'orientation-1']])
  inside(plans)
  words = {text.text: float(text.get('y')) for text in elements(plans, 'text')}
  pictures = sorted({float(image.get('y')) for image in elements(plans, 'image')})
  assert words['posX+1'] < pictures[0] < words['orientation-1'] < pictures[1]


def test_text_is_escaped():
  page = svg.Svg(10, 10)
  page.text(0, 0, 'a < b & "c"')
  assert elements(page, 'text')[0].text == 'a < b & "c"'
