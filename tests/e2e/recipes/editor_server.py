"""A stand-in for the server of an editor: what VS Code's bootstrap installs in the job and starts.

`python editor_server.py TOKEN [PATH]` listens on any port of 127.0.0.1, or on the unix socket PATH, and says where in
the words of VS Code's server. A client sends the token, and gets each further line back with the server's pid.
"""

from __future__ import annotations

import os
import socketserver
import sys


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        if self.rfile.readline().decode().strip() == sys.argv[1]:
            for line in self.rfile:
                self.wfile.write(b"%d %s" % (os.getpid(), line))


class Port(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Socket(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def main(path: str = "") -> None:
    server = Socket(path, Conversation) if path else Port(("127.0.0.1", 0), Conversation)
    print("Extension host agent listening on", path or server.socket.getsockname()[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[2:])
