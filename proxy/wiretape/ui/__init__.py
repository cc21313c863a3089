"""The page over recordings and runs, and the same views as one HTML file.

Server-rendered: `recording_view.py` and its neighbours turn what the command line's
views read into what a template shows; `page.py` renders it, `server.py` serves it on loopback. No
text of a recording is ever HTML or script: jinja2 escapes it, and the policy of every page forbids
other scripts.
"""
