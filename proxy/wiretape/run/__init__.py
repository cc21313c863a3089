"""One run, put together from the packages beside it, and the environment CMD needs.

The composition root: the only place that knows intake, engine and (lazily) mitmproxy's side. Begin
with `run.py`.
"""
