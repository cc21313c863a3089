"""Record with a mitmproxy of your own: mitmdump -s addons/record.py"""

from wiretape_mitm.mitmdump import Script

addons = [Script("record")]
