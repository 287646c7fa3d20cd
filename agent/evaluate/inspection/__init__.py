"""`faultline inspect`: what happened in a recording, for people to look at.

    gather (one pass) → tracks → changes → report → page, summary

Everything is measured against the recording's own normal times; nothing depends on a system's name.
"""

from agent.evaluate.inspection.inspect import inspect_recording
from agent.evaluate.inspection.page import render
from agent.evaluate.inspection.summary import summary, summary_lines

__all__ = ["inspect_recording", "render", "summary", "summary_lines"]
