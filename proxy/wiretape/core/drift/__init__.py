"""Compare the recorded takes of a request with what the provider answers now.

`answer_facts.py` reads from a document what is compared, `compare.py` finds the differences tier by
tier, and `rules.py` judges each: benign, new or regression. Nothing is sent here, nothing written.
"""
