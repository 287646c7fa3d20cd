"""Metric detectors: thousands of series scored side by side, forecasts of limits, flat and missing series."""
