"""Short forms stand in the suite; CVQ_LONG_TESTS=1 asks for the long ones, of minutes to an hour."""

import os

import pytest

LONG = os.environ.get('CVQ_LONG_TESTS') == '1'


@pytest.fixture(name='long', scope='session')
def fixture_long() -> bool:
  """Whether the long form is asked for."""
  return LONG


def pytest_report_header() -> str:
  return f'reliability: {"long" if LONG else "short"} form (CVQ_LONG_TESTS=1 for the long one)'
