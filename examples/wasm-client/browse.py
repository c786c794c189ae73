#!/usr/bin/env python3
"""browse.py [--node SCRIPT] FOLDER SERVER [ARGUMENT...]

Starts SERVER, which prints its http:// address in its first lines; serves FOLDER on another port; opens its page with
?server=ADDRESS in headless Chromium, or gives that URL to a script for Node.js; and prints what comes back as
POST /result. Fails if that is nothing, or has a line with FAILED in it."""

import functools
import http.server
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading

SECONDS = 180
results = queue.Queue()


class Page(http.server.SimpleHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        self.send_response(204)
        self.end_headers()
        results.put(text)

    def log_message(self, *_):
        pass


def address_of(server):
    for line in server.stdout:
        found = re.search(r"http://[\w.:]+", line)
        if found:
            return found[0]
    sys.exit("error: the server ended before it listened")


def chromium(url, profile):
    # Its own sandbox refuses to run for root, as CI does.
    flags = ["--no-sandbox"] if os.getuid() == 0 else []
    return ["chromium", "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--enable-logging=stderr", f"--user-data-dir={profile}", *flags, url]


def main(arguments):
    script = arguments[1] if arguments[0] == "--node" else None
    folder, *command = arguments[2:] if script else arguments
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Page, directory=folder))
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, tempfile.TemporaryFile("w+") as log:
        browser = None
        try:
            url = f"http://127.0.0.1:{pages.server_port}/?server={address_of(server)}"
            opener = ["node", script, url] if script else chromium(url, profile)
            browser = subprocess.Popen(opener, stdout=log, stderr=log)
            text = results.get(timeout=SECONDS)
        except queue.Empty:
            log.seek(0)
            sys.exit(f"error: no result after {SECONDS} s; the browser printed:\n{log.read()}")
        finally:
            for process in filter(None, [browser, server]):
                process.terminate()
                process.wait(30)
    print(text)
    if not text.strip() or "FAILED" in text:
        sys.exit("error: the page has failed")


main(sys.argv[1:])
