"""How the sweeper speaks to an API server: one of this machine answers, over TLS."""

import json
import signal
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import api_server
import pytest
from api_server import ApiServer, Refused
from deadline import Late, within
from errors import Conflict


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """What is mounted of a service account, and the key of the server; the authority is as plain as those of many clusters."""
    folder = tmp_path_factory.mktemp("account")
    (folder / "token").write_text("s3cret\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    openssl(*request, "/CN=kubernetes-ca", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-addext", "subjectKeyIdentifier=none")
    openssl(*request, "/CN=kube-apiserver", "-keyout", "server.key", "-out", "server.csr")
    openssl(*"x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt".split())
    return folder


@contextmanager
def serving(account, answer):
    """An API server. Gives its client, and the requests that it gets, with the number of the connection each came by."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            self.server.connections += 1
            self.number = self.server.connections

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append((self.number, self.command, self.path, dict(self.headers), body))
            answer(self)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any

        def say(self, text, status=200):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.connections = 0
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(account / "server.crt", account / "server.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ApiServer("127.0.0.1", server.server_address[1], account), requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_request_is_sent_with_the_token_as_json(account):
    with serving(account, lambda handler: handler.say('{"a":1}')) as (server, requests):
        assert server.call("PATCH", "/api/v1/x", {"b": 2}, "application/merge-patch+json", fieldSelector="a=b,c!=d") == {"a": 1}
    [(_, method, path, headers, body)] = requests
    assert (method, path, json.loads(body)) == ("PATCH", "/api/v1/x?fieldSelector=a%3Db%2Cc%21%3Dd", {"b": 2})
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/merge-patch+json"


def test_token_is_read_anew(account):
    with serving(account, lambda handler: handler.say("{}")) as (server, requests):
        server.call("GET", "/")
        (account / "token").write_text("renewed")
        server.call("GET", "/")
        (account / "token").write_text("s3cret\n")
    assert [headers["Authorization"] for _, _, _, headers, _ in requests] == ["Bearer s3cret", "Bearer renewed"]


def test_requests_share_a_connection_that_did_not_rest_long(account, monkeypatch):
    with serving(account, lambda handler: handler.say("{}")) as (server, requests):
        for _ in range(3):
            server.call("GET", "/")
        monkeypatch.setattr(api_server, "REST", -1)
        server.call("GET", "/")
    assert [number for number, *_ in requests] == [1, 1, 1, 2]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxy_is_asked(account, monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with serving(account, lambda handler: handler.say("{}")) as (server, _):
        assert server.call("GET", "/") == {}


def test_stranger_is_not_told_the_token(account, tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl(*"req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout ca.key -out ca.crt".split())
    (tmp_path / "token").write_text("s3cret")
    with serving(account, lambda handler: handler.say("{}")) as (server, requests):
        with pytest.raises(ssl.SSLError):
            ApiServer(*server.address, tmp_path).call("GET", "/")
    assert requests == []


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [301, 307, 429, 500, 502, 503, 504])
def test_refused_request_is_not_repeated(account, method, status):
    def refuse(handler):
        handler.send_response(status)
        handler.send_header("Retry-After", "0")
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(account, refuse) as (server, requests):
        with pytest.raises(Refused, match=str(status)) as refusal:
            server.call(method, "/x")
    assert (len(requests), refusal.value.status) == (1, status)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
def test_request_whose_connection_breaks_is_not_repeated(account, method):
    def once_well(handler):
        if len(requests) == 1:
            handler.say("{}")
        else:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True

    with serving(account, once_well) as (server, requests):
        server.call("GET", "/")
        with pytest.raises(OSError):
            server.call(method, "/x")
        assert len(requests) == 2


@pytest.mark.parametrize("status", [404, 409])
def test_what_is_gone_or_has_changed_is_a_conflict(account, status):
    with serving(account, lambda handler: handler.say('{"message":"it is \'x\'"}', status)) as (server, _):
        with pytest.raises(Conflict, match=f"DELETE /x: {status}: it is 'x'"):
            server.call("DELETE", "/x")


def trickle(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(50):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.05)


def test_answer_that_trickles_in_is_over_in_time(account, monkeypatch):
    with serving(account, lambda handler: trickle(handler) if handler.path == "/trickles" else handler.say('{"next":1}')) as (server, _):
        with monkeypatch.context() as patch, pytest.raises(Late):
            patch.setattr(api_server, "DEADLINE", 0.3)
            server.call("GET", "/trickles")
        assert server.call("GET", "/") == {"next": 1}


def test_what_is_late_is_late_even_if_something_swallows_that():
    with pytest.raises(Late):
        with within(0.05):
            try:
                time.sleep(1)
            except Exception:
                time.sleep(1)


def test_nothing_is_late_after_it_is_over():
    before = signal.getsignal(signal.SIGALRM)
    with within(60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == before


def events(*some):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        # An event may come in parts.
        text = "".join(json.dumps(event) + "\n" for event in some).encode()
        for part in (text[:7], text[7:]):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def test_watch_tells_what_happens(account):
    seen = []
    with serving(account, events({"type": "ADDED", "object": {"a": 1}}, {"type": "DELETED", "object": {"a": 1}})) as (server, requests):
        server.watch("/pods", 1, lambda kind, item: seen.append((kind, item)), resourceVersion="7")
    assert seen == [("ADDED", {"a": 1}), ("DELETED", {"a": 1})]
    assert requests[0][2] == "/pods?resourceVersion=7&watch=1&timeoutSeconds=1"


def test_watch_from_too_far_back_is_refused(account):
    with serving(account, events({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})) as (server, _):
        with pytest.raises(Refused, match="410: too old") as refusal:
            server.watch("/pods", 1, lambda *_: None)
    assert refusal.value.status == 410
