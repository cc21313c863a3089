"""`wiretape demo`: a local provider and a client, for the whole round with no key and no network.

Begin with `demo.py`.
"""
