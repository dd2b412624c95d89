"""What one team, or a limited API, may cost the others: memory, time, and requests."""

import json
import socket
import time
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import api_server
import cluster
import pytest
import sweeper as program
from api_server import Limited, TooLarge
from cluster import Kubernetes
from errors import Unlike
from lease import NAME
from signs import CONNECTIONS, Signs
from test_api_server import account, serving  # noqa: F401
from world import INTERVAL, NAMESPACE, World

# How long anything is waited for at least, in seconds: a busy machine is not a failure.
BUSY = 240


def pages_of(items):
    """Answers a list as an API server does, page by page."""

    def answer(handler):
        query = parse_qs(urlsplit(handler.path).query)
        start, limit = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
        rest = start + limit
        metadata = {"resourceVersion": "7", "continue": str(rest) if rest < len(items) else ""}
        handler.say(json.dumps({"metadata": metadata, "items": items[start:rest]}))

    return answer


def test_large_objects_are_listed_in_smaller_pages(account, monkeypatch):  # noqa: F811
    monkeypatch.setattr(api_server, "LARGEST", 16 * 1024)
    items = [{"metadata": {"name": f"pod-{i}"}, "spec": "x" * 1024} for i in range(150)]
    with serving(account, pages_of(items)) as (server, requests):
        assert list(Kubernetes(server).list("Pod", "flows")) == items
    limits = [int(parse_qs(urlsplit(path).query)["limit"][0]) for _, _, path, _, _ in requests]
    # Of the page that was too large, nothing was taken. The smaller size stays for the rest of the list.
    assert limits[:4] == [500, 125, 31, 7]
    assert set(limits[3:]) == {7}
    assert len(limits) == 3 + 22


def test_an_object_that_is_too_large_alone_ends_the_list(account, monkeypatch):  # noqa: F811
    monkeypatch.setattr(api_server, "LARGEST", 1024)
    with serving(account, pages_of([{"spec": "x" * 2048}])) as (server, requests):
        with pytest.raises(TooLarge, match="1024 bytes"):
            list(Kubernetes(server).list("Pod", "flows"))
    assert len(requests) == 5


def test_no_more_than_the_cap_is_read(account, monkeypatch):  # noqa: F811
    monkeypatch.setattr(api_server, "LARGEST", 1024)
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b"x" * 65536)
                sent.append(65536)
        except OSError:
            pass

    with serving(account, endless) as (server, _):
        with pytest.raises(TooLarge):
            server.call("GET", "/")
        deadline = time.monotonic() + BUSY
        while len(sent) == 1000 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(sent) < 1000


@pytest.mark.parametrize(
    "header, seconds", [("7", 7), ("0", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("-5", 0), ("99999", 300), (None, 0)]
)
def test_a_limited_request_says_how_long_to_wait(account, header, seconds):  # noqa: F811
    def refuse(handler):
        handler.send_response(429)
        if header is not None:
            handler.send_header("Retry-After", header)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(account, refuse) as (server, requests):
        with pytest.raises(Limited) as limited:
            server.call("GET", "/x")
    assert (len(requests), limited.value.retry_after) == (1, seconds)


def test_a_look_has_a_deadline(account, monkeypatch):  # noqa: F811
    """Without one, a namespace with many large objects would keep the sweeper from all others."""
    monkeypatch.setattr(cluster, "LOOK", 0.2)
    items = [{"metadata": {"name": f"pod-{i}", "uid": str(i)}} for i in range(5000)]

    def slowly(handler):
        time.sleep(0.05)
        pages_of(items)(handler)

    with serving(account, slowly) as (server, requests):
        with pytest.raises(TimeoutError, match="not listed after 0.2 s"):
            Kubernetes(server).look("flows", True)
        assert len(requests) < 10


@pytest.mark.parametrize("token", [lambda number: "again", lambda number: str(number)])
@pytest.mark.parametrize(
    "ask",
    [
        lambda kubernetes: kubernetes.look("flows", True),
        lambda kubernetes: kubernetes.look_again("flows", "run"),
        lambda kubernetes: kubernetes.events("flows", "uid"),
        lambda kubernetes: kubernetes.pod("flows", "flow-1"),
    ],
)
def test_a_list_that_never_ends_is_given_up(account, monkeypatch, ask, token):  # noqa: F811
    monkeypatch.setattr(cluster, "LOOK", 0.2)
    monkeypatch.setattr(cluster, "LIST", 0.2)

    def endless(handler):
        # A test has to end, also where the list is not given up.
        assert len(requests) < 2000, "the list is never given up"
        time.sleep(0.005)
        handler.say(json.dumps({"metadata": {"resourceVersion": "7", "continue": token(len(requests))}, "items": []}))

    with serving(account, endless) as (server, requests):
        with pytest.raises((TimeoutError, Unlike), match="not listed after 0.2 s|does not end"):
            ask(Kubernetes(server))


def orphans(number):
    """A namespace with finished runs whose Jobs are all due."""
    world = World()
    jobs = []
    for _ in range(number):
        run_id = world.schedule()
        job = world.submit(run_id)
        [pod] = world.pods_of(job)
        world.start(pod)
        world.end_job(job, "Complete")
        world.set(run_id, "Success")
        jobs.append(job)
    sweeper = world.sweeper()
    for _ in range(8):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    return world, sweeper


def test_a_pass_has_so_many_actions_and_the_next_takes_the_others(monkeypatch):
    monkeypatch.setattr(program, "ACTIONS", 0)
    world, sweeper = orphans(7)
    assert len(world.objects["Job"]) == 7
    monkeypatch.setattr(program, "ACTIONS", 3)
    left = []
    for _ in range(3):
        world.sweep(sweeper)
        left.append(len(world.objects["Job"]))
        world.pass_time(INTERVAL)
    assert left == [4, 1, 0]


def test_actions_that_fail_do_not_keep_others_from_their_turn(monkeypatch):
    monkeypatch.setattr(program, "ACTIONS", 0)
    world, sweeper = orphans(6)
    monkeypatch.setattr(program, "ACTIONS", 2)
    stuck = sorted(world.objects["Job"])[:3]

    def refuse(kind, item):
        if item["metadata"]["name"] in stuck:
            raise api_server.Refused(403, "an admission webhook says no")

    world.on_delete = refuse
    for _ in range(6):
        world.sweep(sweeper)
        world.pass_time(INTERVAL)
    assert sorted(world.objects["Job"]) == stuck


def test_a_limited_pass_ends_and_the_next_round_waits(monkeypatch):
    monkeypatch.setattr(program, "ACTIONS", 0)
    world, sweeper = orphans(5)
    monkeypatch.setattr(program, "ACTIONS", 500)
    tried = []

    def limit(kind, item):
        tried.append(item["metadata"]["name"])
        raise Limited("DELETE: 429", 40)

    world.on_delete = limit
    wait = program.one_pass(sweeper, NAMESPACE)
    assert len(tried) == 1
    assert wait == 40
    assert sweeper.signs.counters["errors"][NAMESPACE, "pass"] == 1


def test_a_pass_without_its_lease_ends_at_once(monkeypatch):
    """Each look that another pod has made useless is a request too many."""
    monkeypatch.setattr(program, "ACTIONS", 0)
    world, sweeper = orphans(3)
    monkeypatch.setattr(program, "ACTIONS", 500)
    looks = "GET /apis/batch/v1/namespaces/flows/jobs"

    def take():
        if world.calls.count(looks) == 2:
            world.objects["Lease"][NAME]["metadata"]["resourceVersion"] = "edited"

    world.faults = {looks: take}
    world.sweep(sweeper)
    assert (world.calls.count(looks), len(world.objects["Job"])) == (2, 3)
    assert set(sweeper.signs.counters["errors"].values()) == {0}


def test_each_round_begins_with_another_namespace():
    names = ["a", "b", "c"]
    assert [program.turned(names, n) for n in range(4)] == [names, ["b", "c", "a"], ["c", "a", "b"], names]
    assert program.turned([], 3) == []


def test_idle_connections_do_not_add_up_and_a_probe_is_answered():
    signs = Signs([NAMESPACE])
    with closing(socket.socket()) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    signs.serve(port)
    idle = []
    try:
        for _ in range(6 * CONNECTIONS):
            idle.append(socket.create_connection(("127.0.0.1", port), timeout=BUSY))
        with closing(socket.create_connection(("127.0.0.1", port), timeout=BUSY)) as probe:
            probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in probe.recv(100)
        deadline = time.monotonic() + BUSY
        while signs.connections() > CONNECTIONS and time.monotonic() < deadline:
            time.sleep(0.01)
        assert signs.connections() <= CONNECTIONS
    finally:
        for each in idle:
            each.close()


@pytest.mark.parametrize("change", [b"second-key", None, b"second-key\n", b""])
def test_a_changed_key_ends_the_process_so_that_it_restarts(tmp_path, change):
    file = tmp_path / "key"
    file.write_bytes(b"first-key")
    key = program.Key(file)
    assert (key.value, key.has_changed()) == ("first-key", False)
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change)
    # A Secret that is missing or broken for a moment is no new key.
    assert key.has_changed() == (change == b"second-key")
