"""Send recorded requests to providers again and report what has changed: `drift`, `migrate`.

`targets.py` chooses the recordings and says which cannot be sent, `credentials.py` gives each its
key, `sending.py` sends, `measure.py` puts the parts together and records what is to be recorded,
`printing.py` writes the results. How answers are compared is `core/drift`.
"""
