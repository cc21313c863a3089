"""Which hosts and clients are this machine's."""

from unittest.mock import Mock

import pytest

from wiretape.engine.local_servers import addresses_of, is_on_this_machine


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("LocalHost", ("127.0.0.1", "::1")),
        ("127.0.0.2", ("127.0.0.2",)),
        ("::1", ("::1",)),
        ("192.0.2.1", ()),
        ("localhost.example", ()),
    ],
)
def test_only_loopback_has_addresses(host: str, addresses: tuple[str, ...]) -> None:
    assert addresses_of(host) == addresses


@pytest.mark.parametrize(
    ("peer", "expected"),
    [(("127.0.0.1", 1), True), (("::1", 1, 0, 0), True), (("192.0.2.1", 1), False), (None, False)],
)
def test_which_clients_are_on_this_machine(peer: tuple[str, int] | None, expected: bool) -> None:
    transport = Mock()
    transport.get_extra_info.return_value = peer
    assert is_on_this_machine(transport) is expected
    assert not is_on_this_machine(None)
