"""Tell what a request to wiretape's own port is for: control, a provider's base URL, or nothing.

Such a request comes in origin form. Both proxies use this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wiretape.core.model import split_url
from wiretape.core.providers.base_url import Destination, destination_of
from wiretape.core.providers.registry import ErrorShape, Providers, error_body

from .control import LocalNames, is_control, why_foreign

JSON: Final = (("content-type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered; `message` says what to do."""

    message: str
    status: int = 403
    code: str = "wiretape_refused"
    other_host: tuple[str, int] | None = None
    """The host and port that it is for, if they are not a provider's."""

    def body(self, shape: ErrorShape = "openai") -> bytes:
        """The JSON body of the answer."""
        return error_body(shape, self.status, f"wiretape: {self.message}", self.code)


@dataclass(frozen=True, slots=True)
class ForControl:
    """A request for the control endpoint."""


def purpose_of(
    target: str,
    headers: Mapping[str, str],
    local_names: LocalNames,
    providers: Providers,
    *,
    has_control: bool,
) -> ForControl | Destination | Refusal:
    """Tell what a request is for by its target and its headers, which are by lower-case name.

    "/wiretape/sessions/a" is for control; "/api.openai.com/v1/models", or with a scheme before it
    as a proxy is asked for plain HTTP, for a provider.
    """
    if target.startswith("/"):
        foreign = why_foreign(headers, local_names)
        if foreign:
            return Refusal(foreign)
        if has_control and is_control(target):
            return ForControl()
    try:
        is_path = target.startswith("/")
        destination = destination_of(target) if is_path else Destination(*split_url(target))
    except ValueError as error:
        return Refusal(str(error))
    if providers.find(destination.host, destination.port) is None:
        return Refusal(
            f"{destination.host} is not a configured provider host: add it under `providers` in"
            " config.yaml",
            other_host=(destination.host, destination.port),
        )
    return destination
