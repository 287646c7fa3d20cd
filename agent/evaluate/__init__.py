"""Figures: accuracy on labelled data, speed as ratios, reports."""
