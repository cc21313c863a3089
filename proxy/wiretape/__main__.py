"""`python -m wiretape` is `wiretape`."""

from .cli import main

main()
