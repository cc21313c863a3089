"""pytest-wiretape: recorded answers of LLM providers in tests; see docs/pytest.md of wiretape.

It knows no rule of wiretape's: it starts the program, tells it which test begins and ends, and
fails a test with what the program says of it. It needs the standard library and pytest only. Begin
with `plugin.py`.
"""
