import pytest
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage

from app.kit.problems import ServiceUnavailable
from app.kit.rate_limit import Limit, Limiter, TooManyRequests, connected, network_of

ONCE = Limit("try", address="1/minute", account="2/minute")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("unknown", "unknown"),
    ],
)
def test_whom_an_address_belongs_to(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_addresses_and_accounts_are_counted_apart() -> None:
    app = FastAPI()
    async with connected(app, MemoryStorage(), enabled=True):
        windows = app.state.rate_limiter
        await Limiter(windows, "192.0.2.1").count(ONCE, account="ada")
        await Limiter(windows, "192.0.2.2").count(ONCE, account="ada")

        with pytest.raises(TooManyRequests) as caught:
            await Limiter(windows, "192.0.2.1").count(ONCE)
        with pytest.raises(TooManyRequests):
            await Limiter(windows, "192.0.2.3").count(ONCE, account="ada")
        await Limiter(windows, "192.0.2.4").count(ONCE, account="grace")

    assert 0 < int(caught.value.headers["Retry-After"]) <= 60


async def test_closed_when_the_counters_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> bool:
        raise ConnectionRefusedError

    app = FastAPI()
    storage = MemoryStorage()
    monkeypatch.setattr(storage, "acquire_entry", refuse)
    async with connected(app, storage, enabled=True):
        with pytest.raises(ServiceUnavailable):
            await Limiter(app.state.rate_limiter, "192.0.2.1").count(ONCE)
