"""From anomalies to incidents, purely: join, open, resolve, reopen."""
