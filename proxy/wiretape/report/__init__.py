"""Report what a run did: a row per exchange, the summary, the console, JUnit.

It counts and prints; it decides nothing. Begin with `report.py`.
"""
