"""What runs read of packs and prices."""

from wiretape.config.packs import NAMES
from wiretape.config.shipped import shipped


def test_it_has_all_packs_in_their_order_and_prices_as_texts() -> None:
    assert tuple(shipped()["packs"]) == NAMES
    prices = [price["input"] for group in shipped()["prices"] for price in group["prices"]]
    assert {type(price) for price in prices} == {str}
