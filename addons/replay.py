"""Replay with a mitmproxy of your own: mitmdump -s addons/replay.py"""

from wiretape.script import Script

addons = [Script("replay")]
