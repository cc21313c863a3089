"""From a finished exchange to a file: redaction, gate, writing, and the journal against crashes.

Its sibling `replay` knows nothing of it, nor it of `replay`. mitmproxy's side is
`addons/wiretape_mitm`. Begin with `intake.py`.
"""
