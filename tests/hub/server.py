"""A Hugging Face hub of one's own, for tests: the part of the API that downloading needs, over folders on disk.

    server.py ROOT      prints {"hub": PORT, "cdn": PORT} and serves until its standard input ends

ROOT/org/name/... is a repository with one revision, main, whose commit is a hash of what it holds. Weights are "large files":
the hub redirects to the second port, as the real one does, with their SHA-256 as X-Linked-ETag; the others are served by the hub
itself under git's SHA-1. ROOT/org/name/.gated holds a token without which the repository is gated.

    GET /_set?FAULTS    sets the faults (a JSON list, URL-encoded) and forgets the log
    GET /_log           {"bytes": of files sent, "requests": [{"port", "method", "path", "range", "token", "status"}, ...]}

A fault is {"match": part of a path, "method", "port", "times", and what to do}: "status" and "headers" (an answer of its own),
"add" (headers beside the right ones), "body" (instead of the right one), "cut": N (close after N bytes), "stall": [N, SECONDS]
(pause after N bytes), "corrupt": true, "whole": true (ignore the range asked for).
"""

import hashlib
import json
import os
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = (".safetensors", ".bin", ".gguf")
BLOCK = 1 << 16


class Hub:
    def __init__(self, root):
        self.root = root
        self.lock = threading.Lock()
        self.hashes = {}
        self.reset([])

    def reset(self, faults):
        with self.lock:
            self.faults, self.bytes, self.requests = faults, 0, []
            self.log = object()  # what an earlier request still sends is not counted in this log

    def fault(self, port, method, path):
        with self.lock:
            for fault in self.faults:
                if fault["match"] not in path or fault.get("method", method) != method or fault.get("port", port) != port:
                    continue
                if fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return fault
        return {}

    def files(self, repo):
        folder = os.path.join(self.root, repo)
        names = []
        for parent, _, found in os.walk(folder):
            names += [os.path.relpath(os.path.join(parent, name), folder) for name in found if name != ".gated"]
        return sorted(names)

    def facts(self, repo, name):
        """size, git's SHA-1, and the SHA-256 of a large file (else None)."""
        path = os.path.join(self.root, repo, name)
        stat = os.stat(path)
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in self.hashes:
            with open(path, "rb") as file:
                data = file.read()
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self.hashes[key] = len(data), git, hashlib.sha256(data).hexdigest() if name.endswith(LARGE) else None
        return self.hashes[key]

    def commit(self, repo):
        return hashlib.sha1(repr([(name, self.facts(repo, name)) for name in self.files(repo)]).encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None
    ports = None

    def log_message(self, *_):
        pass

    def port(self):
        return "hub" if self.server.server_address[1] == self.ports["hub"] else "cdn"

    def answer(self, status, headers=None, body=b""):
        headers = {"Content-Length": str(len(body)), **(headers or {}), **self.fault.get("add", {})}
        self.note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body)

    def note(self, status):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.hub.lock:
            if self.log is not self.hub.log:
                return
            self.hub.requests.append({"port": self.port(), "method": self.command, "path": self.path, "range": self.headers.get("Range", ""),
                                      "token": token, "status": status})

    def send_body(self, body):
        if self.fault.get("corrupt") and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        sent, cut, stall = 0, self.fault.get("cut"), self.fault.get("stall")
        try:
            while sent < len(body):
                end = min(len(body), sent + BLOCK)
                for border in (cut, stall and stall[0]):
                    if border is not None and sent < border < end:
                        end = border
                if stall and sent == stall[0]:
                    self.wfile.flush()
                    time.sleep(stall[1])
                if cut is not None and sent >= cut:
                    self.close_connection = True
                    self.wfile.flush()
                    self.connection.shutdown(2)
                    return
                self.wfile.write(body[sent:end])
                if "/resolve/" in self.path or self.path.startswith("/cdn/"):
                    with self.hub.lock:
                        self.hub.bytes += end - sent if self.log is self.hub.log else 0
                sent = end
        except OSError:
            self.close_connection = True

    def refuse(self, status, code, text):
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": text}, json.dumps({"error": text}).encode())

    def send_file(self, repo, name, headers):
        with open(os.path.join(self.hub.root, repo, name), "rb") as file:
            data = file.read()
        wanted = self.headers.get("Range", "")
        if not wanted or self.fault.get("whole"):
            return self.answer(200, {**headers, "Accept-Ranges": "bytes"}, data)
        first, last = wanted.removeprefix("bytes=").split("-")
        first, last = int(first), min(int(last or len(data) - 1), len(data) - 1)
        if first >= len(data):
            return self.answer(416)
        self.answer(206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first:last + 1])

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path in ("/_set", "/_log"):
            self.fault = {}
            return self.control(path, query)
        self.log = self.hub.log
        self.fault = self.hub.fault(self.port(), self.command, path)
        if "status" in self.fault:
            return self.answer(self.fault["status"], self.fault.get("headers"), self.fault.get("body", "").encode())
        if self.port() == "cdn":
            repo, name = urllib.parse.unquote(path.removeprefix("/cdn/")).split("//")
            return self.send_file(repo, name, {})
        words = [urllib.parse.unquote(word) for word in path.strip("/").split("/")]
        api = words[:2] == ["api", "models"]
        repo = "/".join(words[2:4] if api else words[:2])
        rest = words[4:] if api else words[2:]
        if len(rest) < 2:
            return self.refuse(404, "", "Not found")
        self.serve(repo, rest[0], rest[1], "/".join(rest[2:]))

    def control(self, path, query):
        body = b"{}"
        if path == "/_set":
            self.hub.reset(json.loads(urllib.parse.unquote(query)) if query else [])
        else:
            with self.hub.lock:
                body = json.dumps({"bytes": self.hub.bytes, "requests": self.hub.requests}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self, repo, action, revision, name):
        hub, folder = self.hub, os.path.join(self.hub.root, repo)
        if not os.path.isdir(folder):
            return self.refuse(401, "RepoNotFound", "Repository not found")
        gate = os.path.join(folder, ".gated")
        if os.path.exists(gate):
            with open(gate) as file:
                if self.headers.get("Authorization") != "Bearer " + file.read().strip():
                    return self.refuse(401, "GatedRepo", f"Access to model {repo} is restricted.")
        commit = hub.commit(repo)
        if revision not in ("main", commit):
            return self.refuse(404, "RevisionNotFound", "Invalid rev id: " + revision)
        files = hub.files(repo)
        if action == "revision":
            listing = {"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": [{"rfilename": f} for f in files]}
            return self.answer(200, {"Content-Type": "application/json"}, self.fault.get("body", json.dumps(listing)).encode())
        if action == "tree":
            entries = []
            for file in files:
                size, git, sha256 = hub.facts(repo, file)
                large = {"lfs": {"oid": sha256, "size": size, "pointerSize": 100}} if sha256 else {}
                entries.append({"type": "file", "path": file, "size": size, "oid": git, **large})
            return self.answer(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())
        if name not in files:
            return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit})
        size, git, sha256 = hub.facts(repo, name)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git}"'}
        if not sha256:
            return self.send_file(repo, name, headers)
        location = f"http://127.0.0.1:{self.ports['cdn']}/cdn/{urllib.parse.quote(repo + '//' + name)}"
        self.answer(302, {**headers, "X-Linked-Size": str(size), "X-Linked-ETag": f'"{sha256}"', "Location": location})


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a client that went away
        pass


def main():
    Handler.hub = Hub(sys.argv[1])
    servers = {name: Server(("127.0.0.1", 0), Handler) for name in ("hub", "cdn")}
    Handler.ports = {name: server.server_address[1] for name, server in servers.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(Handler.ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
