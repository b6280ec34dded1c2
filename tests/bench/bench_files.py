#!/usr/bin/env python3
"""Large files down, beside nginx serving the same file on the same machine in the same run. Standard library, curl, openssl.

usage: bench_files.py --server PROGRAM [--python-env DIR] [--mb 500] [--rounds 3]

Servers of its own on loopback; every round is printed, the ratio is that of the medians. Memory: the largest resident size
of the server while it sends, less the one before.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from bench_server import BenchServer, Growth


def begin(options, directory, *flags):
    return BenchServer(options.server, options.python_env, directory, "--sandbox-file-max-mb", str(options.mb + 10), *flags)


def call(server, code):
    """The text of a run, over whatever the server speaks."""
    body = json.dumps({"code": code, "session_id": "bench", "timeout": 250})
    answer = subprocess.run(["curl", "-skf", "-H", "Content-Type: application/json", "--data-binary", "@-", server.url + "/api/execute"],
                            input=body, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def make_file(server, mb):
    code = f"import os\nwith open('big.bin', 'wb') as f:\n    for _ in range({mb}): f.write(os.urandom(1 << 20))"
    begun = time.monotonic()
    answer = call(server, code)
    if not answer["download_urls"]:
        raise SystemExit(f"no link: {answer}")
    return re.sub(r"^https?://[^/]+", server.url, answer["download_urls"][0]["url"]), time.monotonic() - begun


def down(url, size):
    """MB/s of one download."""
    got = subprocess.run(["curl", "-skf", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", url], capture_output=True, text=True, check=True)
    bytes_, seconds = got.stdout.split()
    if size and int(bytes_) != size:
        raise SystemExit(f"{url}: {bytes_} bytes instead of {size}")
    return int(bytes_) / 1e6 / float(seconds)


def start_nginx(directory, root):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        return None, None, None
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout",
                    directory + "/key.pem", "-out", directory + "/cert.pem"], check=True, capture_output=True)
    plain, secure = 18000 + os.getpid() % 2000, 20000 + os.getpid() % 2000
    with open(directory + "/nginx.conf", "w") as conf:
        conf.write(f"""daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
user root; events {{}}
http {{ access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} ssl; ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem; root {root}; }} }}
""")
    process = subprocess.Popen([program, "-c", directory + "/nginx.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return process, f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}"


def shown(rates):
    return " ".join(f"{rate:6.0f}" for rate in rates)


def compare(label, server, url, size, rounds, beside=None):
    ours, theirs = [], []
    down(url, size)  # both read a warm file
    with Growth(server.process.pid) as growth:
        for _ in range(rounds):
            ours.append(down(url, size))
            if beside:
                theirs.append(down(beside, size))
    ratio = f"{statistics.median(ours) / statistics.median(theirs):5.2f} of nginx ({shown(theirs)})" if theirs else ""
    print(f"  {label:<34} {shown(ours)} MB/s   +{growth.grown:5.1f} MB memory   {ratio}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--mb", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="power-bench-files-")
    os.chmod(directory, 0o755)
    nginx = None
    try:
        size = options.mb << 20
        print(f"Files: {options.mb} MB down, {options.rounds} rounds each")
        server = begin(options, directory + "/disk", "--file-store", "disk")
        link, seconds = make_file(server, options.mb)
        source = directory + "/disk/sandbox/bench"
        os.chmod(source, 0o755)
        nginx, plain, secure = start_nginx(directory, source)
        if not nginx:
            print("  nginx is not installed: no comparison (installer/install-deps.sh full)")
        compare("disk, HTTP (/dl)", server, link, size, options.rounds, plain and plain + "/big.bin")
        compare("session file, HTTP (/content)", server, server.url + "/api/files/bench/big.bin/content", size, options.rounds, plain and plain + "/big.bin")
        compare("ZIP of the session, HTTP", server, server.url + "/api/sessions/bench/archive", 0, options.rounds)
        server.stop()
        if nginx:
            server = begin(options, directory + "/disk", "--file-store", "disk", "--tls-cert-file", directory + "/cert.pem", "--tls-key-file", directory + "/key.pem")
            compare("disk, TLS (/dl)", server, re.sub(r"^https?://[^/]+", server.url, link), size, options.rounds, secure + "/big.bin")
            server.stop()
        server = begin(options, directory + "/database", "--file-store", "postgres")
        with Growth(server.process.pid) as growth:
            link, seconds = make_file(server, options.mb)
        print(f"  into PostgreSQL: a run that makes the file takes {seconds:.1f} s   +{growth.grown:5.1f} MB memory", flush=True)
        compare("PostgreSQL, HTTP (/dl)", server, link, size, options.rounds, plain and plain + "/big.bin")
        server.stop()
    finally:
        if nginx:
            nginx.terminate()
            nginx.wait()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
