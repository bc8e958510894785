"""Campaigns: hundreds of runs that try to break a promise, too long for every change.

Each module is one campaign, run from tests/ as `python -m campaigns.NAME`; `make help` lists them.
A short form of each is in tests/test_campaigns.py.
"""
