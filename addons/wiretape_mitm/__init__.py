"""mitmproxy's side of wiretape: the only code that imports mitmproxy.

Hook classes, the embedded proxy, and the patches of mitmproxy's behaviour. They translate between
flows and `wiretape`'s values; what is recorded, redacted or matched is decided there. Begin with
`hooks.py`.
"""
