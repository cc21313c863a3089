"""What wiretape knows of a provider: its hosts, its keys' variables, the shape of its errors.

The rules are here, the data is in `config/packs/*.yaml`. Begin with `registry.py`.
"""
