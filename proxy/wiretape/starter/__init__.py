"""`wiretape init`: the first files of a project that uses wiretape, from what the project shows.

It finds out which SDKs, test runner and agent are there, and writes what they need. It asks nothing
and overwrites nothing. Begin with `files.py`; `project.py` says what is found.
"""
