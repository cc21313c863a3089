"""The page over recordings and runs, and the same views as one HTML file.

Server-rendered: `views.py` and its neighbours make what a template shows of what the command line's
views read; `page.py` renders it, `server.py` serves it on loopback. Nothing of a recording is ever
HTML or script: jinja2 escapes all of it, and the policy of every page forbids what is not ours.
"""
