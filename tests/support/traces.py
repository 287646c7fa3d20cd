"""Stack traces as runtimes print them, line by line, and the errors that they name."""

from __future__ import annotations

TRACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "java": (
        """2026-01-05 10:00:00.123 ERROR [http-1] c.s.Orders : could not place order
org.shop.OrderException: order 7 failed
\tat org.shop.Orders.place(Orders.java:42)
\tat org.shop.Api$Inner.lambda$0(Api.java:7)
\tSuppressed: java.io.IOException: close
\t\tat org.shop.Pool.close(Pool.java:1)
Caused by: java.sql.SQLException: deadlock
\tat org.db.Driver.run(Driver.java:9)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\t... 12 more""",
        ("org.shop.OrderException", "java.io.IOException", "java.sql.SQLException"),
    ),
    "java, uncaught": (
        """Exception in thread "main" java.lang.IllegalStateException: closed
\tat org.shop.Main.main(Main.java:3)
Caused by: feign.FeignException$NotFound: [404]
\tat feign.Client.go(Client.java:8)
\t... 1 common frames omitted""",
        ("NotFound",),
    ),
    "python": (
        """ERROR:shop.orders:could not place order
Traceback (most recent call last):
  File "/app/orders.py", line 12, in place
    stock.take(item)
    ^^^^^^^^^^^^^^^^
  File "/app/stock.py", line 3, in take
    raise KeyError(item)
KeyError: 'a7'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/orders.py", line 14, in place
    raise requests.exceptions.Timeout("slow")
requests.exceptions.Timeout: slow""",
        ("KeyError", "Timeout"),
    ),
    "go": (
        """panic: runtime error: index out of range [5] with length 3

goroutine 12 [running]:
main.handle(0xc000010000, {0x1, 0x2})
\t/app/main.go:12 +0x1d
net/http.HandlerFunc.ServeHTTP(...)
\t/usr/local/go/src/net/http/server.go:2136
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3086 +0x5cb
exit status 2""",
        (),
    ),
    "node": (
        """TypeError: Cannot read properties of undefined (reading 'id')
    at place (/app/orders.js:12:9)
    at async Server.<anonymous> (/app/server.js:4:3)
    at node:internal/process/task_queues:95:5""",
        (),
    ),
    ".net": (
        """Unhandled exception. System.InvalidOperationException: no stock
 ---> System.TimeoutException: 30 s
   at Shop.Stock.Take(String item) in /src/Stock.cs:line 12
   --- End of inner exception stack trace ---
   at Shop.Orders.Place() in /src/Orders.cs:line 40""",
        ("System.TimeoutException",),
    ),
    "ruby": (
        """/app/orders.rb:12:in `place': no stock (RuntimeError)
\tfrom /app/orders.rb:40:in `block in run'
\tfrom /app/orders.rb:39:in `<main>'""",
        (),
    ),
    "php": (
        """PHP Fatal error:  Uncaught Exception: no stock in /app/orders.php:12
#0 /app/orders.php(40): place()
#1 {main}""",
        (),
    ),
}
"""By name: the text, whose blank lines do not arrive as records, and the errors below its first line."""


def lines_of(name: str) -> list[str]:
    """Return the lines of a trace that arrive where each line is a record."""
    return [line for line in TRACES[name][0].split("\n") if line]
