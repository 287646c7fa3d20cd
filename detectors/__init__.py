"""From closed windows to anomalies: each with a score, a threshold and evidence."""
