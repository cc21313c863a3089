"""Turn finished exchanges into files: redaction, gate, writing, and the journal against crashes.

It imports nothing of its sibling `engine`, nor `engine` of it. mitmproxy's side is
`addons/wiretape_mitm`. Begin with `intake.py`.
"""
