"""Prices of tokens: the table that comes with wiretape (`prices.yaml`), config.yaml's over it."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.providers.registry import Providers

from .shipped import shipped

if TYPE_CHECKING:
    from wiretape.core.text.located import Location

    from .rules import Wrong
    from .schema import PriceEntry

_GLOB: Final = frozenset("*?[")
_AMOUNTS: Final = ("input", "output", "cached_input", "cache_write", "cache_write_1h")


@cache
def built_in_prices() -> tuple[Price, ...]:
    """Give the prices that come with wiretape, per million tokens."""
    return tuple(
        Price(
            provider=group["provider"],
            model=entry["model"],
            over=int(entry.get("over", 0)),
            source=group["source"],
            date=group["date"],
            **_amounts(entry),
        )
        for group in shipped()["prices"]
        for entry in group["prices"]
    )


def _amounts(entry: Mapping[str, str]) -> dict[str, Any]:
    return {name: Decimal(entry[name]) for name in _AMOUNTS if name in entry}


@cache
def price_table(own: tuple[Price, ...] = ()) -> PriceTable:
    """Make the table of all prices, those of config.yaml (`own`) first."""
    return PriceTable((*own, *built_in_prices()))


def own_prices(
    entries: Sequence["PriceEntry"], providers: Providers, wrong: "list[Wrong]"
) -> Iterator[Price]:
    """Make prices of a file's checked entries; add problems between them to `wrong`."""
    from .rules import host_key

    subjects: set[tuple[str, str, int]] = set()
    for index, entry in enumerate(entries):
        location: Location = ("prices", index)
        provider = entry.provider
        if not _GLOB & set(provider):
            provider = host_key(
                provider, providers, (*location, "provider"), wrong, is_any_host=True
            )
        subject = (provider, entry.model, entry.over)
        if subject in subjects:
            text = f"an earlier price is for {entry.model} of the same provider too; keep one"
            wrong.append(((*location, "model"), text))
        subjects.add(subject)
        yield Price(**{**entry.model_dump(), "provider": provider}, own=True)
