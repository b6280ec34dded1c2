#!/usr/bin/env python3
"""A CSV of 1.5 million rows into a dataset, beside psql's \\copy of the same file into the same cluster in the same run.
Standard library, psql.

usage: bench_datasets.py --server PROGRAM [--python-env DIR] [--rows 1500000] [--rounds 2]

psql is given what the server has to find out itself: the table with its types, and UTF-8. It stores the rows and nothing else;
the server also checks every value for its type, indexes ids and dates, and takes the statistics. Both times are printed for
every round, then seconds of a few queries over the dataset, and the server's largest resident size while it loads.
"""
import argparse
import os
import random
import shutil
import subprocess
import tempfile
import time

from bench_server import BenchServer, Growth

COLUMNS = ("id bigint, customer_id bigint, order_date date, amount double precision, quantity bigint, region text, code text, note text")
QUERIES = ("SELECT count(*) FROM orders", "SELECT region, sum(amount) AS s FROM orders GROUP BY region ORDER BY s",
           "SELECT * FROM orders WHERE customer_id = 4711", "SELECT * FROM orders ORDER BY amount DESC", "SELECT 1")


def write_csv(path, rows):
    random.seed(1)
    with open(path, "w") as file:
        file.write("id,customer_id,order_date,amount,quantity,region,code,note\n")
        for i in range(rows):
            file.write(f"{i},{random.randrange(100_000)},2024-{1 + i % 12:02d}-{1 + i % 28:02d},{random.random() * 1000:.2f},"
                       f"{'' if i % 97 == 0 else i % 50},{random.choice(('north', 'south', 'east', 'west'))},{i % 1000:05d},\"note {i}, \"\"x\"\"\"\n")


def psql(directory):
    """Command and environment of psql on the server's own cluster."""
    postgres = os.path.join(directory, "postgres")
    major = next(name for name in os.listdir(postgres) if name.isdigit())
    with open(os.path.join(postgres, major, "postmaster.pid")) as file:
        lines = file.read().splitlines()
    password = next(open(os.path.join(postgres, name)).read().strip() for name in os.listdir(postgres) if "password" in name)
    environment = dict(os.environ, PGPASSWORD=password)
    return ["psql", "-X", "-q", "-h", lines[4], "-U", "power", "-d", "postgres", "-v", "ON_ERROR_STOP=1"], environment


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="power-bench-")
    os.chmod(directory, 0o755)
    server = BenchServer(options.server, options.python_env, directory)
    try:
        server.ask("/api/execute", {"code": "1"})
        home = os.path.join(directory, "sandbox", "default")
        path = os.path.join(home, "orders.csv")
        write_csv(path, options.rows)
        owner = os.stat(home)
        os.chown(path, owner.st_uid, owner.st_gid)
        size = os.path.getsize(path) / (1 << 20)
        command, environment = psql(directory)
        print(f"{options.rows:,} rows, {size:.0f} MB of CSV")
        for number in range(options.rounds):
            began = time.monotonic()
            subprocess.run([*command, "-c", "BEGIN", "-c", f"CREATE TABLE beside ({COLUMNS})", "-c", f"\\copy beside FROM '{path}' (FORMAT csv, HEADER)",
                            "-c", "COMMIT"], env=environment, check=True)
            copied = time.monotonic() - began
            began = time.monotonic()
            subprocess.run([*command, "-c", "SET maintenance_work_mem = '256MB'", *(part for column in ("id", "customer_id", "order_date")
                            for part in ("-c", f"CREATE INDEX ON beside ({column})")), "-c", "ANALYZE beside"], env=environment, check=True)
            indexed = time.monotonic() - began
            subprocess.run([*command, "-c", "DROP TABLE beside"], env=environment, check=True)
            with Growth(server.process.pid) as growth:
                answer = server.ask("/api/data/load", {"file_path": "orders.csv", "dataset_name": "orders"})
            assert answer["row_count"] == options.rows, answer
            print(f"round {number + 1}: psql \\copy {copied:.2f} s, indexes and statistics {indexed:.2f} s; upload_dataset with both {growth.seconds:.2f} s "
                  f"({options.rows / growth.seconds:,.0f} rows/s), server's memory {growth.before:.0f} -> at most {growth.most:.0f} MB")
        for sql in QUERIES:
            times = []
            for _ in range(5):
                began = time.monotonic()
                server.ask("/api/data/query", {"sql": sql, "limit": 100})
                times.append((time.monotonic() - began) * 1000)
            print(f"{sql}: {', '.join(f'{one:.0f}' for one in times)} ms")
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
