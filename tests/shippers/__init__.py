"""Real shippers, started as child processes: what they send is kept under `tests/fixtures/wire`.

`python -m tests.shippers rsyslog --out DIR` makes a program's fixtures again; live tests use the same code.
"""
