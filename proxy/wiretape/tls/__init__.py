"""Certificates: wiretape's authority, the ones it issues, the roots that clients trust.

Begin with `authority.py`.
"""
