"""Every dependency has a licence that was looked at, and the page says so."""

from importlib import metadata

import pytest

from tests.reliability import licences


@pytest.fixture(name='found', scope='module')
def fixture_found():
  try:
    return {name: licences.licence(name) for name in licences.pinned()}
  except metadata.PackageNotFoundError as error:
    pytest.skip(f'{error} is not installed; all that is pinned must be')


def test_every_licence_is_permissive_or_was_looked_at(found):
  assert len(found) > 100
  unknown = {name: text for name, text in found.items()
             if not licences.PERMISSIVE.search(text) and name not in licences.LOOKED_AT}
  assert not unknown
  copyleft = {name for name, text in found.items() if licences.COPYLEFT.search(text)}
  assert copyleft == set(licences.LOOKED_AT)


def test_the_page_is_up_to_date(found):
  assert licences.PAGE.read_text() == licences.page(), 'python -m tests.reliability.licences'
