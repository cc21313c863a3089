"""`wiretape doctor`: check that every client of this machine goes through the proxy.

Tiny probes, a row of a table for each client stack, and checks of what surrounds a run. It
advises and changes nothing. Begin with `doctor.py`.
"""
