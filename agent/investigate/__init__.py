"""The LangGraph investigation: gather, rank, retrieve, explain, verify, write."""
