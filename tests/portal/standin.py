"""A tiny process that stands in for one of the portal's: `python -m tests.portal.standin [--bind fd://N] [WHAT]`.

It answers every GET with its environment as JSON. WHAT may be `children` (starts one and says so in the answer),
`ends` (at once, with a word on its way), `deaf` (to SIGTERM), `status N` (ends with that status) or
`mark PATH` (makes that file).
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({**os.environ, "pid": str(os.getpid())}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(format % args, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*")
    parser.add_argument("--bind")
    parser.add_argument("--web")
    parser.add_argument("--gateway")
    arguments = parser.parse_args()
    match arguments.what:
        case ["ends"]:
            sys.exit("I cannot work without my hat")
        case ["status", number]:
            print(f"shown {arguments.web} {arguments.gateway}", flush=True)
            sys.exit(int(number))
        case ["mark", path]:
            Path(path).touch()
        case ["deaf"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case ["children"]:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(f"child {child.pid}", flush=True)
    if arguments.bind:
        listener = socket.socket(fileno=int(arguments.bind.removeprefix("fd://")))
        server = HTTPServer(("127.0.0.1", 0), Answer, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        server.serve_forever()
    print("ready", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
