import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """Nothing a test makes is kept in, or taken from, the user's cache folder."""
    monkeypatch.setenv("LEARNER_RAY_CACHE", str(tmp_path / "user-cache"))
