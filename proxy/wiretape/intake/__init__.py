"""From a finished exchange to a file: redaction, gate, writing, and the journal against crashes.

Its sibling `engine` knows nothing of it, nor it of `engine`. mitmproxy's side is
`addons/wiretape_mitm`. Begin with `intake.py`.
"""
