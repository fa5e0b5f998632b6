"""The requests of the page: guarded, answered one computation at a time, nothing kept.

Whoever reads another web site in the same browser must not reach the model through it: requests
under a foreign host name (DNS rebinding) or from a foreign origin are refused.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import pathlib
import secrets
import threading
from typing import Any, Iterator
import urllib.parse

import flask
import jinja2
from werkzeug import exceptions

from cvq.errors import UserError
from cvq.serve import answers, uploads
from cvq.serve.examples import Examples

MAX_BODY = 4 * 2**20
MAX_STEPS = 8
_PATIENCE = 120.               # seconds that a request waits for those before it
_HERE = pathlib.Path(__file__).parent


def make_app(model: Any, examples: Examples | None = None, *, name: str = 'cvq',
             no_examples: str = '', hosts: tuple[str, ...] = ('127.0.0.1',)) -> flask.Flask:
  """The application, for a WSGI server or a test client.

  Args:
    model: `cvq.api.model.Model`. examples: of its dataset. name: of the run.
    no_examples: why there are none, for the reader.
    hosts: names or addresses it is reached by, besides those of this machine itself.
  """
  app = flask.Flask('cvq.serve', static_folder=None)
  app.config['MAX_CONTENT_LENGTH'] = MAX_BODY
  turn = threading.Lock()
  shape = model.facts.image_shape
  page = _template()

  @contextlib.contextmanager
  def alone() -> Iterator[None]:
    """One computation at a time: the machine has no more."""
    if not turn.acquire(timeout=_PATIENCE):
      raise exceptions.ServiceUnavailable('Other computations take too long; try again.')
    try:
      yield
    finally:
      turn.release()

  def image_of(fields: dict, what: str):
    return uploads.read_uri(fields.get(what), shape, what)

  @app.before_request
  def guard() -> None:
    refuse_strangers(flask.request, hosts)

  @app.get('/')
  def index():
    nonce = secrets.token_urlsafe(16)
    text = page.render(
        name=name, about=model.facts, facts=answers.facts(model) | {'maxBody': MAX_BODY},
        nonce=nonce, examples=examples, no_examples=no_examples, max_steps=MAX_STEPS)
    response = flask.Response(text, mimetype='text/html')
    response.headers['Content-Security-Policy'] = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'")
    return response

  @app.post('/upload')
  def upload():
    image, notes = uploads.read(flask.request.get_data(cache=False), shape)
    return {'image': answers.image_uri(image), 'notes': notes}

  @app.post('/random')
  def random():
    steps = _steps(_fields(flask.request), lowest=0)
    if examples is None:
      raise UserError(no_examples or 'The dataset is not here; upload or draw an image.')
    with alone():                                      # the generator is not for several threads
      if not steps:
        return {'image': answers.image_uri(examples.image()), 'notes': []}
      x, y, truth = examples.pair(steps)
    return {'image': answers.image_uri(x), 'target': answers.image_uri(y), 'truth': truth}

  @app.post('/intervene')
  def intervene():
    fields = _fields(flask.request)
    image, action = image_of(fields, 'image'), fields.get('action')
    if not isinstance(action, str):
      raise UserError('action is missing; give its name.')
    with alone():
      return answers.intervene(model, image, action)

  @app.post('/retrieve')
  def retrieve():
    fields = _fields(flask.request)
    x, y = image_of(fields, 'image'), image_of(fields, 'target')
    with alone():
      return answers.retrieve(model, x, y)

  @app.post('/plan')
  def plan():
    fields = _fields(flask.request)
    x, y, steps = image_of(fields, 'image'), image_of(fields, 'target'), _steps(fields, lowest=1)
    with alone():
      return answers.plan(model, x, y, steps)

  @app.after_request
  def seal(response: flask.Response) -> flask.Response:
    response.headers.update({
        'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff',
        'Referrer-Policy': 'no-referrer', 'Cross-Origin-Resource-Policy': 'same-origin'})
    return response

  @app.errorhandler(Exception)
  def failed(error: Exception):
    if isinstance(error, UserError):
      return {'error': str(error)}, 400
    if isinstance(error, exceptions.RequestEntityTooLarge):
      return {'error': f'That is too large; at most {MAX_BODY // 2**20} MB are taken.'}, 413
    if isinstance(error, exceptions.HTTPException):
      return {'error': error.description}, error.code
    app.logger.error('While answering %s', flask.request.path, exc_info=error)
    return {'error': 'Something failed inside cvq; the terminal says what.'}, 500

  return app


def refuse_strangers(request: flask.Request, hosts: tuple[str, ...]) -> None:
  """Refuses foreign host names and foreign origins.

  Args:
    hosts: names or addresses that the server listens on. '0.0.0.0' and '::' stand for every
      address of this machine: any address is taken then, since no name can be rebound to it.

  Raises:
    werkzeug Forbidden.
  """
  header = request.headers.get('Host', '')
  name = _host_name(header)
  everywhere = not {'0.0.0.0', '::'}.isdisjoint(hosts)
  if name not in {'localhost', '127.0.0.1', '::1', *map(str.lower, hosts)} and not (
      everywhere and _is_address(name)):
    raise exceptions.Forbidden(
        'This page answers under the address only that it was started with: open it by this '
        "machine's numeric address, or start it with --host=NAME.")
  origin = request.headers.get('Origin')
  if request.method != 'GET' and (
      (origin is not None and urllib.parse.urlsplit(origin).netloc.lower() != header.lower())
      or request.headers.get('Sec-Fetch-Site', 'same-origin') not in ('same-origin', 'none')):
    raise exceptions.Forbidden('Requests of other web sites are refused.')


def _host_name(header: str) -> str | None:
  try:
    return urllib.parse.urlsplit(f'//{header}').hostname
  except ValueError:
    return None


def _is_address(name: str | None) -> bool:
  try:
    return bool(ipaddress.ip_address(name or ''))
  except ValueError:
    return False


def _fields(request: flask.Request) -> dict:
  """The JSON object of a request. Raises UserError."""
  try:
    fields = json.loads(request.get_data(cache=False))
  except (ValueError, RecursionError) as error:
    raise UserError('The request is no JSON.') from error
  if not isinstance(fields, dict):
    raise UserError('The request is no JSON object.')
  return fields


def _steps(fields: dict, *, lowest: int) -> int:
  steps = fields.get('steps', lowest)
  if type(steps) is not int or not lowest <= steps <= MAX_STEPS:
    raise UserError(f'steps is {str(steps)[:40]!r}; expected {lowest} to {MAX_STEPS}.')
  return steps


def _template() -> jinja2.Template:
  """The page, which shares its style with the report."""
  return jinja2.Environment(
      loader=jinja2.FileSystemLoader([_HERE, _HERE.parent / 'report']), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
  ).get_template('serve.html')
