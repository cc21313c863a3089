"""`wiretape doctor`: does this machine's every client go through the proxy, and is all in order?

Tiny probes, a row of a table for each client stack, and checks of what surrounds a run. It
advises and changes nothing. Begin with `doctor.py`.
"""
