"""From anomalies to people: incidents, investigations, delivery."""
