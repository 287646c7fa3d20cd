"""The LangGraph investigation: gather, rank, retrieve, explain, verify, write."""

from agent.investigate.explain import Budget, Hypothesise
from agent.investigate.gather import Gather
from agent.investigate.graph import Investigation, Nodes
from agent.investigate.remediate import Retrieve
from agent.investigate.state import Request
from agent.investigate.steps import IndexSteps
from agent.investigate.worker import Worker
from agent.investigate.write import Write

__all__ = [
    "Budget",
    "Gather",
    "Hypothesise",
    "IndexSteps",
    "Investigation",
    "Nodes",
    "Request",
    "Retrieve",
    "Worker",
    "Write",
]
