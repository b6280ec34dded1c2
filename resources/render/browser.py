"""Chromium without a window, driven over two pipes (DevTools protocol, one JSON message per zero byte).

Only inside of a one-shot worker: the wall around it is the worker's, so the browser's own is off."""
import fcntl
import json
import os
import select
import signal
import time

# The shell without a user interface first: it starts in half the time. The programs themselves, not their start scripts.
PROGRAMS = ("/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/chromium", "/opt/google/chrome/chrome")
# Everything in one process: the full browser does not survive that with WebGL.
SHELL_FLAGS = ["--single-process", "--in-process-gpu"]
MAX_MESSAGE = 256 << 20
# No zygote of its own: fewer processes. WebGL by SwiftShader, because plotly draws large scatter plots and 3D with it.
# Nothing may be asked of a network that is not there anyway.
FLAGS = [
    "--headless", "--no-sandbox", "--no-zygote", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-breakpad", "--disable-crash-reporter", "--disable-extensions", "--disable-component-update",
    "--disable-background-networking", "--disable-default-apps", "--disable-sync", "--disable-logging", "--mute-audio",
    "--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
    "--js-flags=--max-old-space-size=768", "--disable-features=Translate,OptimizationHints,MediaRouter,AudioServiceOutOfProcess,DialMediaRouteProvider",
]


class BrowserError(Exception):
    """What went wrong, in a sentence for the one who asked for the picture."""


def program():
    return next((path for path in PROGRAMS if os.access(path, os.X_OK)), None)


class Browser:
    """One browser with one empty page. `home`: a directory it may fill, removed by whoever made it."""

    def __init__(self, home, seconds):
        self.ends = time.monotonic() + seconds
        self.number, self.buffer, self.session, self.step = 0, bytearray(), None, "start"
        path = program()
        if path is None:
            raise BrowserError(
                "The server has no browser to draw charts with; its administrator can install one "
                "(Debian: apt-get install chromium-headless-shell). The chart's .html file works without it."
            )
        to_browser, self.out = os.pipe()
        self.input, from_browser = os.pipe()
        # 3 and 4 are where Chromium looks; a source must not be one of them.
        log = os.open(os.path.join(home, "browser.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in (to_browser, from_browser, log)]
        for descriptor in (to_browser, from_browser, log):
            os.close(descriptor)
        environment = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home,
                       "LANG": "C.UTF-8", "DBUS_SESSION_BUS_ADDRESS": "disabled:", "DBUS_SYSTEM_BUS_ADDRESS": "disabled:"}
        arguments = [path, *FLAGS, *(SHELL_FLAGS if path.endswith("-shell") else []), f"--user-data-dir={home}/profile", "about:blank"]
        actions = [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[1], 4),
                   (os.POSIX_SPAWN_DUP2, ends[2], 1), (os.POSIX_SPAWN_DUP2, ends[2], 2)]
        self.pid = os.posix_spawn(path, arguments, environment, file_actions=actions)
        self.log = os.path.join(home, "browser.log")
        for descriptor in ends:
            os.close(descriptor)
        os.set_blocking(self.out, False)

    def left(self):
        return max(0.0, self.ends - time.monotonic())

    def gone(self):
        """What is said when it ended by itself: its last words are for the server's log only."""
        try:
            _, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            status = 0
        self.pid = self.pid if status == 0 else 0
        with open(self.log, "rb") as log:
            words = log.read()[-2000:].decode("utf-8", "replace").strip()
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.waitstatus_to_exitcode(status)}"
        return BrowserError(f"The browser that draws charts ended by itself ({how}). {words}".strip())

    def write(self, data):
        view = memoryview(data)
        while view:
            if not select.select([], [self.out], [], self.left())[1]:
                raise BrowserError(f"The browser that draws charts did not answer in time ({self.step}).")
            try:
                view = view[os.write(self.out, view[: 1 << 16]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self.gone() from None

    def read(self):
        """The next message; a time limit, a size limit, and its end are BrowserErrors."""
        seen = 0  # a picture comes in hundreds of pieces
        while (end := self.buffer.find(b"\0", seen)) < 0:
            seen = len(self.buffer)
            if seen > MAX_MESSAGE:
                raise BrowserError("The picture is too large.")
            if not select.select([self.input], [], [], self.left())[0]:
                raise BrowserError(f"The browser that draws charts did not answer in time ({self.step}).")
            part = os.read(self.input, 1 << 20)
            if not part:
                raise self.gone()
            self.buffer += part
        message = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        return json.loads(message)

    def call(self, method, **parameters):
        """One command to the page (to the browser before there is one); its result object."""
        self.number += 1
        self.step = method
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") != self.number:
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error'].get('message', 'refused')}")
            return answer["result"]

    def open_page(self):
        """Attaches to the page that every browser starts with."""
        while True:
            pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
            if pages:
                break
            time.sleep(0.02)
            if not self.left():
                raise BrowserError("The browser that draws charts did not open a page.")
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]

    def evaluate(self, source):
        """Value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=source, awaitPromise=True, returnByValue=True)
        trouble = answer.get("exceptionDetails")
        if trouble:
            value = trouble.get("exception", {})
            text = value.get("description") or value.get("value") or trouble.get("text")
            raise BrowserError(f"plotly.js refused the figure: {str(text)[:1000]}")
        return answer["result"].get("value")

    def close(self):
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self.pid = 0
