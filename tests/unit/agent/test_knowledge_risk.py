"""Commands that surely only read, and everything else."""

from __future__ import annotations

import pytest

from agent.analysis import Risk
from agent.knowledge.risk import risk_of

READING = [
    "kubectl get pods -A",
    'kubectl -n "$NAMESPACE" describe pod "$POD"',
    "kubectl logs -l app=x --since=5m | grep -i error | head -5",
    "kubectl exec x -- nslookup db",
    "kubectl rollout history deployment/x",
    "oc get pods\noc top nodes",
    "# a comment\n$ df -h",
    "docker ps && docker logs x",
    "systemctl status nginx",
    "journalctl -u x --since -5min",
    "curl -s http://x/healthz",
    "curl -X GET http://x",
    "curl -sSv --max-time 5 -o /dev/null https://x/",
    'psql "$URL" -c "SELECT pid, now() - query_start FROM pg_stat_activity WHERE state = \'active\'"',
    "psql -Atc 'SHOW max_connections'",
    "redis-cli -h x INFO memory",
    "redis-cli CONFIG GET maxmemory",
    "kafka-consumer-groups.sh --bootstrap-server x --describe --group g",
    "du -xh / 2>/dev/null | sort -h | tail",
    "kubectl get pods \\\n  -o wide",
    "oc describe pvc <pvc-name> -n <namespace>",
    "sudo ss -tnp",
    "NS=x kubectl get pods",
    "awk '{print $1}' access.log | sort | uniq -c",
]
CHANGING = [
    "kubectl delete pod x",
    "kubectl get pods -o name | xargs kubectl delete",
    "kubectl get pods; kubectl delete pod x",
    "kubectl get pods && rm -rf /",
    "kubectl rollout restart deployment/x",
    "kubectl exec x -- rm -rf /data",
    "kubectl exec -it x -- sh",
    "kubectl get pod x -o yaml > pod.yaml",
    "kubectl get pods $(rm x)",
    "echo `rm x`",
    "curl -X DELETE http://x/1",
    "curl -XPOST http://x/1",
    "curl --request=PUT http://x/1",
    "curl -d a=b http://x",
    "curl --data-binary @f http://x",
    "curl -so script.sh http://x",
    'psql -c "SELECT pg_terminate_backend(1)"',
    'psql -c "DELETE FROM t"',
    'psql -c "SELECT 1; DROP TABLE t"',
    'psql -c "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x"',
    'psql -c "SELECT * FROM t FOR UPDATE"',
    'psql -c "EXPLAIN ANALYZE UPDATE t SET a = 1"',
    'psql -c "SELECT my_cleanup()"',
    "psql -f fix.sql",
    "psql",
    "redis-cli FLUSHALL",
    "redis-cli CONFIG SET maxmemory 1gb",
    "kafka-consumer-groups --describe --reset-offsets --execute",
    "journalctl --vacuum-size=1G",
    "find / -name x -delete",
    "awk '{system(\"rm \" $1)}' list",
    "systemctl restart nginx",
    "reboot",
    "./fix.sh",
    "grep 'unbalanced",
    "",
    "# only a comment",
]


@pytest.mark.parametrize("command", READING)
def test_reading_commands_are_read_only(command: str) -> None:
    """Every part is a reading verb."""
    assert risk_of(command) is Risk.READ_ONLY


@pytest.mark.parametrize("command", CHANGING)
def test_everything_else_is_disruptive(command: str) -> None:
    """One changing, unknown or unreadable part is enough."""
    assert risk_of(command) is Risk.DISRUPTIVE


@pytest.mark.parametrize(
    ("text", "language", "risk"),
    [
        ("SELECT count(*) FROM t", "sql", Risk.READ_ONLY),
        ("SELECT 'delete; drop' AS word -- update\nFROM t", "sql", Risk.READ_ONLY),
        ("TRUNCATE t", "SQL", Risk.DISRUPTIVE),
        ("", "sql", Risk.DISRUPTIVE),
        ("rate(x[5m])", "promql", Risk.READ_ONLY),
        ("# reboot", "console", Risk.DISRUPTIVE),
        ("$ df -h\n# not run", "console", Risk.READ_ONLY),
        ("print(1)", "python", Risk.DISRUPTIVE),
    ],
)
def test_language_of_the_block_decides(text: str, language: str, risk: Risk) -> None:
    """SQL and PromQL are judged as such; a language we do not know is not trusted."""
    assert risk_of(text, language) is risk
