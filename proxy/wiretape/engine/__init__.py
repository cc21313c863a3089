"""The replay engine: a request in, a recorded answer or a miss out, with no way to the network.

The CONNECT and TLS front, the protocol that writes ready answers, aiohttp's handler for the others,
the sender. It imports neither `intake` nor mitmproxy. Begin with `replayer.py`. A run calls
`late_roots.import_aiohttp` before it imports what needs aiohttp.
"""
