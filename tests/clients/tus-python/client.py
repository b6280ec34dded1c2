"""tuspy against the server at POWER_URL: whole, in chunks with checksums, resumed by a new client, ended."""
import io
import json
import os
import random
import urllib.request

from tusclient import client
from tusclient.exceptions import TusCommunicationError

URL = os.environ["POWER_URL"]
TUS = client.TusClient(URL + "/api/uploads")
data = random.Random(5).randbytes(3_000_000)


def state(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def stored(url):
    facts = state(url)
    assert facts["status"] == "complete", facts
    with urllib.request.urlopen(facts["file"]["download_url"]) as answer:
        return facts, answer.read()


whole = TUS.uploader(file_stream=io.BytesIO(data), metadata={"filename": "Übung 1.bin", "session_id": "tuspy"})
whole.upload()
facts, content = stored(whole.url)
assert content == data and facts["filename"] == "Übung 1.bin" and facts["session_id"] == "tuspy", facts
assert facts["file"]["sandbox_path"] == "/app/sandbox_data/tuspy/Übung 1.bin", facts

checked = TUS.uploader(file_stream=io.BytesIO(data), chunk_size=700_001, metadata={"filename": "checked.bin"}, upload_checksum=True)
checked.upload()
assert stored(checked.url)[1] == data

# One client stops in the middle; another, which knows only the URL, goes on where the server says.
first = TUS.uploader(file_stream=io.BytesIO(data), chunk_size=1_000_000, metadata={"filename": "resumed.bin"})
first.upload_chunk()
second = TUS.uploader(file_stream=io.BytesIO(data), chunk_size=500_000, url=first.url)
assert second.offset == 1_000_000, second.offset
second.upload()
assert stored(first.url)[1] == data

request = urllib.request.Request(first.url, method="DELETE", headers={"Tus-Resumable": "1.0.0"})
assert urllib.request.urlopen(request).status == 204
try:
    TUS.uploader(file_stream=io.BytesIO(data), url=first.url)
    raise AssertionError("a removed upload was found")
except TusCommunicationError as error:
    assert error.status_code in (404, 410), error.status_code
print("tuspy: whole, checksums, resumed, removed")
