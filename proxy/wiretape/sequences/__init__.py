"""Logs that the processes of one run share, by which each knows which takes the others gave.

`shared_log.py` says what a log does. `file_log.py` is for workers of one machine, `redis_log.py`
for replicas on several. `sessions/shared.py` defines what the entries mean.
"""
