"""No network, whatever the machine has."""

import pytest
import requests


@pytest.fixture(name='offline')
def fixture_offline(monkeypatch):
  def offline(*_, **__):
    raise requests.ConnectionError('no network in this test')
  monkeypatch.setattr(requests, 'head', offline)
  monkeypatch.setattr(requests, 'get', offline)
