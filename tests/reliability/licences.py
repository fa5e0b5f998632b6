"""Writes docs/licences.md: the licence of every pinned dependency, as its own metadata tell it.

  python -m tests.reliability.licences
"""

from __future__ import annotations

from importlib import metadata
import pathlib
import re

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
  """Names in constraints.txt."""
  return [line.partition('==')[0] for line in (ROOT / 'constraints.txt').read_text().splitlines()
          if '==' in line and not line.startswith('#')]


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
      'cvq is under Apache 2.0. This lists every package of `constraints.txt`, with the licence '
      'that its\nown metadata name; written by `python -m tests.reliability.licences`, checked by '
      '`tests/reliability/test_licences.py`.', '',
      '| package | licence | note |', '| --- | --- | --- |', *rows, ''])


if __name__ == '__main__':
  PAGE.write_text(page())
