"""From anomalies to incidents, purely: join, open, resolve, reopen."""

from agent.incidents.alerts import alert_anomaly
from agent.incidents.correlate import Correlator
from agent.incidents.state import Correlated, Policy, Reason

__all__ = ["Correlated", "Correlator", "Policy", "Reason", "alert_anomaly"]
