#!/usr/bin/env python3
"""The results of tests/peers/run, as a table in Markdown: medians over the rounds, and ratios.

Reads results, lines of JSON, from standard input. With --line it prints them one by one, in words.
"""

import json
import sys
from statistics import median

COLUMNS = {
    "lockstep": "Lockstep",
    "etcd": "etcd",
    "etcd-serializable": "etcd, serializable (may be stale)",
    "redis": "Redis, WAIT 2",
    "redis-synced": "Redis, WAIT 2 and WAITAOF 1 2",
}
# Redis does not wait when it reads.
READ_COLUMNS = {**COLUMNS, "etcd": "etcd, linearizable", "lockstep": "Lockstep, linearizable", "redis": "Redis (may be stale)"}

# As Lockstep's bench calls them.
KINDS = ("read", "write")


class Run:
    """One measurement."""

    def __init__(self, line):
        record = json.loads(line)
        result = record["result"]
        self.cell = (record["work"], record["column"], record["clients"])
        self.rate = result["operations_per_second"]
        self.kinds = {name: kind["latency_ms"] for name, kind in result["kinds"].items() if kind["operations"]}
        # Lockstep's bench counts by cause; the first error is text.
        self.errors = sum(count for count in result["errors"].values() if isinstance(count, int))
        self.connections = result.get("connections")
        self.arrangement = result.get("arrangement")
        if record["cpu"]:
            # Measured beside the bench, in the same seconds.
            cpu = record["cpu"]
            done = self.rate * cpu["seconds"]
            self.server_cpu = cpu["server_cpu_seconds"] * 1e6 / done if done else None
            self.client_cpu = cpu["client_cpu_seconds"] * 1e6 / done if done else None
        else:
            self.server_cpu = result["server_cpu_us"]
            self.client_cpu = result["client_cpu_us"]

    def text(self):
        words = [f"{self.rate:,.0f}/s"]
        for name, latency in self.kinds.items():
            words.append(f"{name} p50 {duration(latency['p50'])}, p99 {duration(latency['p99'])}")
        words.append(f"CPU of the nodes {micros(self.server_cpu)}, of the client {micros(self.client_cpu)}")
        if self.errors:
            words.append(f"{self.errors} ERRORS")
        return "; ".join(words)


def duration(millis):
    """Three digits that mean something."""
    if millis < 10:
        return f"{millis:.2f} ms"
    return f"{millis:.1f} ms" if millis < 100 else f"{millis:.0f} ms"


def micros(value):
    return "unknown" if value is None else f"{value:.0f} us" if value >= 10 else f"{value:.1f} us"


class Results:
    """All measurements, by row and column."""

    def __init__(self, lines):
        self.cells = {}
        for line in lines:
            run = Run(line)
            self.cells.setdefault(run.cell, []).append(run)

    def columns(self, work, names):
        found = {column for (of, column, _) in self.cells if of == work}
        return [column for column in names if column in found]

    def clients(self, work):
        return sorted({clients for (of, _, clients) in self.cells if of == work})

    def middle(self, cell, value):
        """The median over the rounds; None where nothing was measured."""
        values = [value(run) for run in self.cells.get(cell, [])]
        values = [value for value in values if value is not None]
        return median(values) if values else None

    def errors(self):
        """What failed, in sentences."""
        for (work, column, clients), runs in self.cells.items():
            failed = sum(run.errors for run in runs)
            if failed:
                yield f"{COLUMNS[column]}, {work}, {clients} clients: {failed:,} operations failed."

    def spreads(self):
        """How far the rounds lie apart, cell by cell, as a share of the median."""
        for runs in self.cells.values():
            rates = [run.rate for run in runs]
            if median(rates):
                yield (max(rates) - min(rates)) / median(rates)


def rate_text(results, cell):
    rate = results.middle(cell, lambda run: run.rate)
    if rate is None:
        return "-"
    kinds = [name for name in KINDS if any(name in run.kinds for run in results.cells[cell])]
    latencies = []
    for name in kinds:
        p50, p99 = (
            results.middle(cell, lambda run: run.kinds[name][quantile] if name in run.kinds else None)
            for quantile in ("p50", "p99")
        )
        label = f"{name} " if len(kinds) > 1 else ""
        latencies.append(f"{label}{duration(p50)}, {duration(p99)}")
    return f"{rate:,.0f} ({'; '.join(latencies)})"


def ratio_text(results, work, column, clients, value):
    own = results.middle((work, "lockstep", clients), value)
    peer = results.middle((work, column, clients), value)
    return f"{own / peer:.2f}" if own and peer else "-"


def with_ratios(columns):
    """The header's cells: each peer has the ratio of Lockstep to it behind it."""
    for column, name in columns:
        yield name
        if column != "lockstep":
            yield "ratio"


def row(cells):
    return f"| {' | '.join(cells)} |"


def rates(results, work, title, names):
    columns = results.columns(work, names)
    if not columns:
        return
    header = [title, *with_ratios((column, names[column]) for column in columns)]
    yield row(header)
    yield row("---" for _ in header)
    for clients in results.clients(work):
        cells = [f"{clients} client{'s' if clients > 1 else ''}"]
        for column in columns:
            cells.append(rate_text(results, (work, column, clients)))
            if column != "lockstep":
                cells.append(ratio_text(results, work, column, clients, lambda run: run.rate))
        yield row(cells)
    yield ""


def cpu(results):
    """CPU for each write, where most clients write."""
    columns = results.columns("put", COLUMNS)
    if not columns:
        return
    clients = results.clients("put")[-1]
    header = [f"CPU time for a write, {clients} clients", *with_ratios((column, COLUMNS[column]) for column in columns)]
    yield row(header)
    yield row("---" for _ in header)
    values = [("all nodes together", lambda run: run.server_cpu), ("load generator", lambda run: run.client_cpu)]
    for name, value in values:
        cells = [name]
        for column in columns:
            cells.append(micros(results.middle(("put", column, clients), value)))
            if column != "lockstep":
                cells.append(ratio_text(results, "put", column, clients, value))
        yield row(cells)
    yield ""


def arrangements(results):
    """How the peers were driven: what the load generator says, and the connections found best."""
    for system in ("etcd", "redis"):
        cells = {cell: runs for cell, runs in results.cells.items() if cell[1].split("-")[0] == system}
        if not cells:
            continue
        told = sorted({run.arrangement for runs in cells.values() for run in runs})
        by_row = {}
        for (work, column, clients), runs in sorted(cells.items()):
            by_row.setdefault(row_name(work, column), []).append(f"{runs[0].connections} for {clients}")
        counts = "; ".join(f"{name} {', '.join(counts)}" for name, counts in by_row.items())
        name = {"etcd": "etcd", "redis": "Redis"}[system]
        yield f"- How {name} was driven: {'; '.join(told)}. Connections for so many clients, found best by trials: {counts}."


def row_name(work, column):
    """What clients do, and what is special about the column."""
    special = {"etcd-serializable": " (serializable)", "redis-synced": " (WAITAOF 1 2)"}
    return work + special.get(column, "")


def settings_text(settings, results):
    yield (
        f"Three nodes of each on one machine, over loopback, with the load generator beside them; {settings['date']}, "
        f"{settings['cores']} cores ({settings['processor']}), {settings['memory']} of memory, {settings['distribution']}, "
        f"{settings['kernel']}, {settings['file_system']}. Load average before it began: {settings['load']}."
    )
    yield ""
    yield (
        f"- Rounds: {settings['rounds']}, of which the medians stand here; the systems in turn, started anew with empty disks in each round. "
        f"Each figure is measured for {settings['duration']} s, behind {settings['warm_up']} s of warm-up. {spread_text(results)}"
    )
    yield (
        f"- Closed loop over at most {settings['connections']} connections to each node; {int(settings['keys']):,} keys of "
        f"{settings['key_size']} bytes, uniform, values of {settings['value_size']} bytes. In brackets p50 and p99. "
        "A ratio is Lockstep's figure divided by the one before it: more than 1 is good for Lockstep where it is operations, less than 1 where "
        "it is CPU time."
    )
    if settings["lockstep"]:
        yield (
            f"- Lockstep {settings['lockstep']} ({settings['commit']}): a write is synced on all three replicas; reads at all, sixteen in turn at each; QUIC with "
            f"mutual TLS 1.3; always {settings['connections']} connections. Its arbiter counts as a node."
        )
    if settings["etcd"]:
        yield (
            f"- etcd {settings['etcd']}, default settings: a write is synced on two of three members; reads at all in turn; "
            "gRPC without TLS."
        )
    if settings["redis"]:
        yield (
            f"- Redis {settings['redis']}, a primary and two replicas, `appendonly yes`, `appendfsync always`, `save \"\"`, no rewrites: "
            "WAIT 2 means received by both replicas, WAITAOF 1 2 (from 7.2 on) synced by all three; reads at all in turn; TCP without TLS."
        )
    yield from arrangements(results)
    for sentence in results.errors():
        yield f"- {sentence}"


def spread_text(results):
    spreads = [spread for spread in results.spreads() if spread]
    if not spreads:
        return ""
    return f"From the lowest round to the highest, operations per second differ by {median(spreads):.0%} (middle row) to {max(spreads):.0%} (worst row)."


def main():
    if sys.argv[1:] == ["--line"]:
        for line in sys.stdin:
            print(Run(line).text())
        return
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = dict(line.rstrip("\n").split("=", 1) for line in file)
    results = Results(sys.stdin)
    lines = [
        *rates(results, "put", "writes per second", COLUMNS),
        *rates(results, "get", "reads per second", READ_COLUMNS),
        *rates(results, "mixed", "half reads, half writes, per second", COLUMNS),
        *cpu(results),
        *settings_text(settings, results),
    ]
    print("\n".join(line.rstrip() for line in lines))


if __name__ == "__main__":
    main()
