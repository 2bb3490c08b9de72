import pytest
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.kit.problems import ServiceUnavailable
from app.kit.rate_limit import Limit, Limiter, TooManyRequests, client_network

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
def test_client_network(address: str, network: str) -> None:
    assert client_network(address) == network


async def test_addresses_and_accounts() -> None:
    limiter = MovingWindowRateLimiter(MemoryStorage())
    await Limiter(limiter, "192.0.2.1").hit(ONCE, account="ada")
    await Limiter(limiter, "192.0.2.2").hit(ONCE, account="ada")

    with pytest.raises(TooManyRequests) as caught:
        await Limiter(limiter, "192.0.2.1").hit(ONCE)
    with pytest.raises(TooManyRequests):
        await Limiter(limiter, "192.0.2.3").hit(ONCE, account="ada")
    await Limiter(limiter, "192.0.2.4").hit(ONCE, account="grace")

    assert 0 < int(caught.value.headers["Retry-After"]) <= 60


async def test_unavailable_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> bool:
        raise ConnectionRefusedError

    storage = MemoryStorage()
    monkeypatch.setattr(storage, "acquire_entry", fail)
    limiter = MovingWindowRateLimiter(storage)

    with pytest.raises(ServiceUnavailable):
        await Limiter(limiter, "192.0.2.1").hit(ONCE)
