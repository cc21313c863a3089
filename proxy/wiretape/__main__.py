"""`python -m wiretape` is `wiretape`."""

from wiretape.cli.start import main

main()
