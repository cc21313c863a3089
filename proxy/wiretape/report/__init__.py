"""What a run did: a row an exchange, the summary, the console, JUnit.

It counts and words; it decides nothing. Begin with `report.py`.
"""
