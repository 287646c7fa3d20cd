"""A small shop of real processes with real faults: where our own recordings come from.

`python -m tests.testbed run --fault NAME --out DIR` starts a Kafka broker, Redis, PostgreSQL, seven HTTP
services and customers, has `faultline record` write what the shop sends, injects one fault by a real code
path, and stops everything. Nothing in a recording is written by hand.
"""
