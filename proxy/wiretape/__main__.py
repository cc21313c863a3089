"""`python -m wiretape` is `wiretape`."""

from wiretape.cli.main import main

main()
