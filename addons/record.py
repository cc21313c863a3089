"""Record with a mitmproxy of your own: mitmdump -s addons/record.py"""

from wiretape.script import Script

addons = [Script("record")]
