# There is no network: an error at once that names what failed; what needs none works.
import time

import requests

start = time.monotonic()
for url in ("http://192.0.2.1/", "https://example.org/data.csv", "http://127.0.0.1:9/"):
    try:
        requests.get(url, timeout=5)
    except requests.exceptions.ConnectionError as error:
        assert "HTTPConnectionPool" in str(error) or "HTTPSConnectionPool" in str(error)
    else:
        raise AssertionError(url + " was reached")
assert time.monotonic() - start < 2, "the error came late"

request = requests.Request("GET", "https://example.org/a", params={"q": "ä b", "n": [1, 2]}).prepare()
assert request.url == "https://example.org/a?q=%C3%A4+b&n=1&n=2"
assert requests.Request("POST", "https://example.org", json={"a": 1}).prepare().body == b'{"a": 1}'
print("stack ok")
