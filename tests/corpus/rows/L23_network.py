# expect-error: *
# expect: fetch_from_url
import requests
requests.get('https://example.com', timeout=5)
# %%
# expect-error: *
# expect: fetch_from_url
import urllib.request
urllib.request.urlopen('http://example.com', timeout=5)
