"""Replay with a mitmproxy of your own: mitmdump -s addons/replay.py"""

from wiretape_mitm.mitmdump import Script

addons = [Script("replay")]
