"""The investigation as a LangGraph graph of small nodes, checkpointed after each.

    gather → rank → retrieve → state_facts → hypothesise → verify → remediate → write

`state_facts` publishes the analysis that statistics alone give, before any model is asked. A process
killed inside a node runs that node again when the investigation is taken up with the same thread id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.analysis import Analysis
from agent.investigate.explain import Hypothesise
from agent.investigate.gather import Gather, Rank
from agent.investigate.remediate import Remediate, Retrieve
from agent.investigate.state import Request, State, packed, unpacked
from agent.investigate.verify import Verify
from agent.investigate.write import Write


class Node(Protocol):
    """One step: reads what earlier steps left in the state, returns what it adds."""

    def __call__(self, state: State) -> State: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The graph's nodes; `hypothesise` is None where no model is configured."""

    gather: Gather
    retrieve: Retrieve
    state_facts: Write
    hypothesise: Hypothesise | None
    write: Write

    def in_order(self) -> tuple[tuple[str, Node], ...]:
        """Return names and nodes as the graph runs them."""
        steps: list[tuple[str, Node]] = [
            ("gather", self.gather),
            ("rank", Rank()),
            ("retrieve", self.retrieve),
            ("state_facts", self.state_facts),
        ]
        if self.hypothesise is not None:
            steps += [
                ("hypothesise", self.hypothesise),
                ("verify", Verify()),
                ("remediate", Remediate()),
                ("write", self.write),
            ]
        return tuple(steps)


class Investigation:
    """A compiled graph. `run` may be called from several threads with different thread ids."""

    def __init__(
        self,
        nodes: Nodes,
        *,
        clock: Callable[[], float],
        checkpointer: BaseCheckpointSaver[Any] | None = None,
    ) -> None:
        self._clock = clock
        self._checkpointer = checkpointer
        self._graph = _compiled(nodes.in_order(), checkpointer)

    def run(self, request: Request, thread_id: str) -> Analysis:
        """Start the investigation, or take it up where a killed process left it; return its last analysis."""
        config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
        begun = self._checkpointer is not None and bool(self._graph.get_state(config).next)
        start = None if begun else State(request=packed(request), started=self._clock(), degraded=[])
        durability: Any = "sync" if self._checkpointer is not None else None
        final = self._graph.invoke(start, config, durability=durability)
        return unpacked(final["analysis"], Analysis)

    def forget(self, thread_id: str) -> None:
        """Drop the checkpoints of a finished investigation."""
        if self._checkpointer is not None:
            self._checkpointer.delete_thread(thread_id)


def _compiled(
    steps: tuple[tuple[str, Node], ...], checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[State, Any, State, State]:
    graph: StateGraph[State, Any, State, State] = StateGraph(State)
    before = START
    for name, node in steps:
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph.compile(checkpointer=checkpointer)
