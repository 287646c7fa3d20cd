"""Judges what a command may do to a running system, for runbook steps that do not say it themselves.

Errs on the side of `disruptive`: only commands whose every part is on the list of reading verbs are
`read-only`; what cannot be parsed, redirects into a file, substitutes or runs another shell is not.
Pure; the text of a command is only looked at, never run.
"""

from __future__ import annotations

import re
import shlex

from agent.analysis import Risk
from agent.knowledge.sql_risk import sql_reads

_READING_TOOLS = frozenset(
    """
    cat cut cd df dig du echo egrep fgrep free grep head host id iostat jq last less ls lsblk lscpu
    lsof mpstat mtr netstat nproc nstat nslookup pg_isready pgrep pidstat ping printf ps pwd sar ss stat
    tail top tr tracepath traceroute true uname uniq uptime vmstat wc whoami zcat zgrep
    """.split()  # noqa: SIM905 - one word a line would bury the rest
)
"""Tools that read whatever their options are."""

_READING_VERBS: dict[str, frozenset[str]] = {
    "kubectl": frozenset(
        {"get", "describe", "logs", "top", "explain", "version", "cluster-info", "events", "api-resources"}
        | {"rollout history", "rollout status", "auth can-i", "config view", "config current-context", "diff"}
    ),
    "docker": frozenset({"ps", "logs", "inspect", "stats", "images", "top", "version", "info", "events"}),
    "crictl": frozenset({"ps", "pods", "logs", "inspect", "inspectp", "images", "stats", "info", "version"}),
    "helm": frozenset({"list", "ls", "status", "get", "history", "version"}),
    "git": frozenset({"log", "show", "diff", "status", "blame"}),
    "systemctl": frozenset({"status", "show", "list-units", "list-timers", "is-active", "is-failed", "cat"}),
    "ip": frozenset({"addr", "address", "link", "route", "neigh", "-s", "-br"}),
    "redis-cli": frozenset(
        {"info", "get", "ttl", "type", "dbsize", "ping", "--bigkeys", "--latency", "--memkeys", "--stat"}
        | {"memory usage", "memory stats", "memory doctor", "slowlog get", "slowlog len", "client list"}
        | {"config get", "latency latest", "latency doctor", "object idletime", "object freq"}
    ),
}
_READING_VERBS["oc"] = _READING_VERBS["kubectl"]
_READING_VERBS["podman"] = _READING_VERBS["docker"]

_CHANGING_OPTIONS: dict[str, re.Pattern[str]] = {
    "curl": re.compile(r"-\w*[dFToOKc]|--(data|form|upload|output|remote-name|json|config|cookie-jar).*"),
    "find": re.compile(r"-(delete|exec|execdir|ok|okdir|fprint.*|fls)$"),
    "journalctl": re.compile(r"--(vacuum|rotate|flush|sync|relinquish|update|setup).*"),
    "dmesg": re.compile(r"-[cCDEn]|--(clear|read-clear|console.*)"),
    "date": re.compile(r"-s|--set.*"),
    "sort": re.compile(r"-o|--output.*"),
    "ethtool": re.compile(r"-(?!S$|i$|k$|g$|c$).*|--(?!statistics$|driver$).*"),
    "ip": re.compile(r"(add|del|delete|set|change|replace|flush|append)$"),
    "kafka-consumer-groups": re.compile(r"--(reset-offsets|delete.*|execute)"),
    "kafka-topics": re.compile(r"--(create|delete|alter)"),
}
_TOOLS_READING_BUT_FOR_OPTIONS = frozenset({"curl", "find", "journalctl", "dmesg", "date", "sort", "ethtool"})
_KAFKA_TOOLS = frozenset({"kafka-consumer-groups", "kafka-topics"})
_OPTIONS_WITH_VALUE = frozenset(
    {"-n", "--namespace", "-h", "-p", "-a", "-c", "--context", "--kubeconfig", "-C", "--container", "-u"}
)
_SEPARATORS = frozenset({"|", "||", "&&", ";", "&", "|&"})
_HARMLESS_REDIRECT = re.compile(r"(?<=\s)-o\s+/dev/null|\d?>{1,2}\s*/dev/null|\d>&\d|&>\s*/dev/null")
_PLACEHOLDER = re.compile(r"(?<=[\s/=:'\"])<[A-Za-z][\w-]*>")
_PROMPT = re.compile(r"^\s*[$%]\s+(?=\S)", re.MULTILINE)
_ROOT_PROMPT = re.compile(r"^\s*#\s+(?=\S)", re.MULTILINE)
_DATA_LANGUAGES = frozenset({"text", "txt", "log", "json", "yaml", "yml", "output"})
_QUERY_LANGUAGES = frozenset({"promql", "logql", "traceql"})
_CONSOLES = frozenset({"console", "shell-session", "terminal"})
_SHELLS = frozenset({"", "sh", "bash", "shell", "zsh"}) | _CONSOLES


def is_command(language: str) -> bool:
    """Tell whether a fenced block in `language` is something to run rather than to read."""
    return language.lower() not in _DATA_LANGUAGES


def risk_of(command: str, language: str = "") -> Risk:
    """Return `read-only` when every part of `command` surely only reads, else `disruptive`."""
    language = language.lower()
    if language == "sql":
        return Risk.READ_ONLY if sql_reads(command) else Risk.DISRUPTIVE
    if language in _QUERY_LANGUAGES:
        return Risk.READ_ONLY
    if language not in _SHELLS:
        return Risk.DISRUPTIVE
    lines = _shell_lines(command, language)
    if lines and all(_line_reads(line) for line in lines):
        return Risk.READ_ONLY
    return Risk.DISRUPTIVE


def _shell_lines(command: str, language: str) -> list[str]:
    # In a console block without `$`, `#` is the prompt of root; anywhere else it begins a comment.
    if language in _CONSOLES and not _PROMPT.search(command):
        command = _ROOT_PROMPT.sub("", command)
    joined = re.sub(r"\\\n\s*", " ", command)
    # A quoted argument may span lines; shlex needs it whole, so newlines inside quotes become blanks.
    joined = re.sub(
        r"(['\"])(?:(?!\1).)*\1", lambda m: m.group(0).replace("\n", " "), joined, flags=re.DOTALL
    )
    lines = (_PROMPT.sub("", line).strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _line_reads(line: str) -> bool:
    line = _PLACEHOLDER.sub("placeholder", _HARMLESS_REDIRECT.sub("", line))
    if "`" in line or "$(" in line or "<(" in line or ">(" in line:
        return False
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return False
    part: list[str] = []
    for token in [*tokens, ";"]:
        if token in _SEPARATORS:
            if part and not _part_reads(part):
                return False
            part = []
        elif set(token) <= set("<>&|;()"):
            return False
        else:
            part.append(token)
    return True


def _part_reads(words: list[str]) -> bool:
    while words and (words[0] == "sudo" or re.fullmatch(r"[A-Za-z_]\w*=\S*", words[0])):
        words = words[1:]
    if not words:
        return True
    tool = words[0].rsplit("/", 1)[-1].removesuffix(".sh")
    arguments = words[1:]
    if tool == "psql":
        return _psql_reads(arguments)
    if tool in {"kubectl", "oc"} and "--" in arguments:
        return _exec_reads(arguments)
    if tool == "awk":
        return not re.search(r"system|getline|[|>]", " ".join(arguments))
    changing = _CHANGING_OPTIONS.get(tool)
    if changing is not None and any(changing.match(argument) for argument in arguments):
        return False
    if tool == "curl":
        return _curl_reads(arguments)
    if tool in _KAFKA_TOOLS:
        return "--describe" in arguments or "--list" in arguments
    if tool in _READING_VERBS:
        return _verb(arguments) in _READING_VERBS[tool] or _verb(arguments, 2) in _READING_VERBS[tool]
    return tool in _READING_TOOLS or tool in _TOOLS_READING_BUT_FOR_OPTIONS


def _verb(arguments: list[str], words: int = 1) -> str:
    """Return the first `words` arguments that are neither global options nor their values."""
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not argument.startswith("-") or argument.lower() in _READING_VERBS["redis-cli"]:
            found.append(argument.lower())
            if len(found) == words:
                break
    return " ".join(found)


def _exec_reads(arguments: list[str]) -> bool:
    """`kubectl exec ... -- command` reads when the command does."""
    split = arguments.index("--")
    return _verb(arguments[:split]) == "exec" and _part_reads(arguments[split + 1 :])


def _curl_reads(arguments: list[str]) -> bool:
    for position, argument in enumerate(arguments):
        if argument in {"-X", "--request"}:
            method = arguments[position + 1] if position + 1 < len(arguments) else ""
            if method.upper() not in {"GET", "HEAD"}:
                return False
        elif argument.startswith(("-X", "--request=")) and not argument.upper().endswith(("GET", "HEAD")):
            return False
    return True


def _psql_reads(arguments: list[str]) -> bool:
    statements = [
        arguments[position + 1]
        for position, argument in enumerate(arguments[:-1])
        if re.fullmatch(r"-\w*c|--command", argument)
    ]
    loads_file = any(re.match(r"-f|--file|-o|--output|-L", argument) for argument in arguments)
    return bool(statements) and not loads_file and all(sql_reads(statement) for statement in statements)
