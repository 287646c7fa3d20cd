"""Tests: unit, contract, integration, acceptance, figures; `support` holds what they start."""
