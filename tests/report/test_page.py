"""The page of a toy run: alone, whole, and with no number that report.json lacks."""

import base64
import html.parser
import io
import json
import math
from xml.etree import ElementTree

from PIL import Image
import pytest

pytestmark = pytest.mark.slow

FORMATS = {
    'text': str, 'count': lambda v: format(v, ',.0f'), 'one': lambda v: format(v, ',.1f'),
    'share': lambda v: format(v, '.3f'), 'percent': lambda v: format(100 * v, '.1f') + '%',
    'error': lambda v: format(v, '.4f') if v >= .001 else format(v, '.2g'),
    'short': lambda v: format(v, '.3g')}
VOID = {'meta', 'img', 'link', 'br'}


class Page(html.parser.HTMLParser):
  """Tags with their attributes, and the text of what carries data-key."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.keyed, self._open = [], [], []
    self.feed(text)
    assert not self._open, f'not closed: {self._open}'

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.tags.append((tag, attrs))
    if 'data-key' in attrs:
      self.keyed.append([attrs['data-key'], attrs['data-format'], ''])
    if tag not in VOID:
      self._open.append((tag, self.keyed[-1] if 'data-key' in attrs else None))

  def handle_endtag(self, tag):
    opened, _ = self._open.pop()
    assert opened == tag, f'{opened} closed by {tag}'

  def handle_data(self, data):
    for _, keyed in self._open:
      if keyed is not None:
        keyed[2] += data


@pytest.fixture(scope='module', name='page')
def fixture_page(toy):
  return Page((toy.workdir / 'report.html').read_text())


@pytest.fixture(scope='module', name='written')
def fixture_written(toy):
  return json.loads((toy.workdir / 'report.json').read_text())


def at(report, key):
  for part in key.split('.'):
    report = report[int(part)] if isinstance(report, list) else report.get(part)
    if report is None:
      return None
  return report


def test_report_json_is_what_was_returned_and_strict(toy, written):
  assert written == toy.report
  json.dumps(written, allow_nan=False)


def test_every_number_is_that_of_report_json(page, written):
  assert len(page.keyed) > 150
  for key, kind, text in page.keyed:
    value = at(written, key)
    assert text == ('–' if value is None else FORMATS[kind](value)), key
  told = [key for key, _, text in page.keyed if text != '–']
  for key in ('evaluation.retrieval.directed', 'chains.decay.codes.mse.0', 'run.trained_seconds',
              'chains.inverse.vectors.equal', 'chains.commutation.codes.mse',
              'representation.scores.codes.mig.scores.mig', 'representation.rate.by_variable',
              'mechanisms.actions.shape+1.acyclicity', 'config.train.batch_size',
              'compare.groups.0.mean.directed', 'headline.0.1', 'oracle.model.precision',
              'oracle.copy.stability', 'oracle.reader.right.orientation',
              'oracle.per_action.shape+1.both', 'chains.decay.codes.precision.0',
              'chains.decay.truth.stability.1', 'planning.steps.3.greedy.exact',
              'compare.agreement.0.graph.rank', 'compare.agreement.0.mask.rank_other'):
    assert key in told


def test_it_needs_nothing_else(page, toy):
  text = (toy.workdir / 'report.html').read_text()
  assert len(text) < 10 * 2**20
  for tag, attrs in page.tags:
    assert tag not in ('script', 'iframe', 'object', 'embed', 'form')
    if tag in ('img', 'link', 'source'):
      assert (attrs.get('src') or attrs.get('href')).startswith('data:')
    elif tag == 'a':
      assert attrs['href'].startswith(('#', 'https://arxiv.org/'))
  assert '@import' not in text and 'url(' not in text


def test_every_image_decodes_and_is_told_in_words(page):
  images = [attrs for tag, attrs in page.tags if tag == 'img']
  assert len(images) > 15
  for attrs in images:
    assert len(attrs['alt']) > 8
    kind, _, data = attrs['src'].partition(';base64,')
    _decode(kind, base64.b64decode(data))


def _decode(kind, data):
  """Decodes an image; of a drawing also those within it."""
  if kind == 'data:image/png':
    Image.open(io.BytesIO(data)).load()
    return
  assert kind == 'data:image/svg+xml'
  for element in ElementTree.fromstring(data).iter():
    assert not any('nan' in value for name, value in element.attrib.items() if name != 'href')
    if 'href' in element.attrib:
      inner, _, content = element.attrib['href'].partition(';base64,')
      _decode(inner, base64.b64decode(content))


def test_links_within_the_page_lead_somewhere(page):
  names = {attrs['id'] for _, attrs in page.tags if 'id' in attrs}
  targets = {attrs['href'][1:] for tag, attrs in page.tags
             if tag == 'a' and attrs['href'].startswith('#')}
  assert targets and targets <= names


def test_numbers_agree_among_themselves(written):
  evaluation, retrieval = written['evaluation']['retrieval'], written['retrieval']
  per_action = [retrieval['confusion'][i][i] for i in range(10)]
  assert per_action == pytest.approx(list(evaluation['per_action'].values()))
  assert sum(retrieval['reliability']['pairs']) == evaluation['pairs'] == retrieval['pairs']
  gap = sum(n * abs(a - c) for n, a, c in zip(*(retrieval['reliability'][name] for name in
                                               ('pairs', 'accuracy', 'confidence'))) if n)
  assert gap / evaluation['pairs'] == pytest.approx(evaluation['expected_calibration_error'])
  rate = written['representation']['rate']
  assert rate['by_variable'] <= rate['by_codebook'] <= rate['nominal'] == pytest.approx(
      8 * math.log2(8))
  chances = [row['true_probability'] for row in retrieval['failures']]
  assert chances == sorted(chances) and len(chances) == 3
  judged = written['oracle']
  actions = judged['per_action'].values()
  assert sum(row['pairs'] for row in actions) == judged['pairs'] == evaluation['pairs']
  assert sum(row['pairs'] * (row['both'] or 0) for row in actions) / judged['pairs'] == \
      pytest.approx(judged['model']['both'])
  steps = written['planning']['steps']
  assert list(steps) == ['2', '3'] and all(row['none']['exact'] == 0 for row in steps.values())
  assert 1 <= len(written['planning']['shown']) <= 4
  assert all(len(row['actions']) <= 3 for row in written['planning']['shown'])
  alike = written['compare']['agreement']
  assert [(run['name'], run['seed']) for run in alike] == [('run-1', 1)]
  assert alike[0]['graph']['difference'] > 0
  group = written['compare']['groups'][0]
  assert group['seeds'] == [0, 1] and group['runs'] == ['run-0', 'run-1']
