"""Writes docs/licences.md: the licence of every pinned dependency, as its own metadata tell it.

  python -m tests.reliability.licences
"""

from __future__ import annotations

from importlib import metadata
import pathlib
import re

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / 'docs' / 'licences.md'
# Ask for no more than that their text goes along.
PERMISSIVE = re.compile(
    r'Apache|MIT|BSD|ISC|PSF|Python Software Foundation|Zope|ZPL|Zlib|CC0|Public Domain|AFL', re.I)
COPYLEFT = re.compile(r'GPL|General Public|MPL|Mozilla|EPL|CDDL|EUPL|SSPL', re.I)
# What is more than permissive, and why it may stand here.
LOOKED_AT = {
    'certifi': 'weak copyleft: changes of its own files; we change none',
    'tqdm': 'weak copyleft: changes of its own files; we change none',
    'hypothesis': 'weak copyleft: changes of its own files; for tests alone',
    'docutils': 'the GPL is that of an Emacs mode, which is not installed; for docs alone'}


def pinned() -> list[str]:
  """Names of what is installed under Linux for CPUs, with the tests' own."""
  lines = [line.removesuffix(' \\') for name in ('base', 'test')
           for line in (ROOT / 'launch' / 'locked' / f'{name}.txt').read_text().splitlines()]
  found = [Requirement(line) for line in lines if line and line[0] not in ' #']
  linux = {'sys_platform': 'linux'}
  return sorted(pin.name for pin in found if pin.marker is None or pin.marker.evaluate(linux))


def licence(name: str) -> str:
  """What the metadata of an installed package say, '' for nothing. Raises PackageNotFoundError."""
  about = metadata.metadata(name)
  classifiers = [text.rpartition(' :: ')[2] for text in about.get_all('Classifier') or ()
                 if text.startswith('License :: ')]
  field = (about.get('License') or '').strip().partition('\n')[0]
  short = field if len(field) < 40 and re.search(r'\w', field) else ''
  return about.get('License-Expression') or ', '.join(classifiers) or short


def page() -> str:
  """The text of docs/licences.md. Raises PackageNotFoundError."""
  rows = [f'| {name} | {licence(name)} | {LOOKED_AT.get(name, "")} |' for name in pinned()]
  return '\n'.join([
      '# Licences of the dependencies', '',
      'cvq is under Apache 2.0. This lists what is installed under Linux for CPUs and for the tests '
      '(`base` and\n`test` of `launch/locked`), with the licence that its own metadata name; written '
      'by\n`python -m tests.reliability.licences`, checked by `tests/reliability/test_licences.py`. '
      'Not looked at: what\nelse GPUs and TPUs need (`cuda13`, `tpu`), NVIDIA\'s libraries under '
      'its own terms among it.', '',
      '| package | licence | note |', '| --- | --- | --- |', *rows, ''])


if __name__ == '__main__':
  PAGE.write_text(page())
