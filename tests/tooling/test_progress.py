import pytest
from fastship_tooling import progress


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock, so that each step takes two seconds."""
    times = iter((10, 12))
    monkeypatch.setattr("time.monotonic", lambda: next(times, 12))


def test_without_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("Building [1.2]"):
        assert capsys.readouterr().err == "Building [1.2] ...\n"

    assert capsys.readouterr() == ("", "Building [1.2]: done in 2.0 s\n")


def test_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), progress.step("Building"):
        raise ValueError("broken")

    assert capsys.readouterr().err == "Building ...\n"
