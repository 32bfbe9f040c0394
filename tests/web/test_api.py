"""The HTTP API: every route, on an album and on the digits."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from lookalike import Album
from lookalike.errors import CorruptStore, Locked
from lookalike.web.album import AlbumCollection
from lookalike.web.digits import DigitsCollection
from lookalike.web.limits import Limits
from lookalike.web.server import application
from lookalike.web.site import Site

NOBODY = "0123456789abcdef"


@contextlib.contextmanager
def client_of(site: Site) -> Iterator[httpx.Client]:
    """A server in a thread, so that tests can reach into it, and who asks it."""
    app = application(site, page=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            headers = {"X-Lookalike-Request": "1"}
            with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with client_of(site) as client:
        yield client


@pytest.fixture(scope="module")
def digits() -> Iterator[httpx.Client]:
    site = Site(DigitsCollection())
    with client_of(site) as client:
        yield client
    site.close()


@pytest.fixture
def own(own_album: Path) -> Iterator[tuple[httpx.Client, Path]]:
    site = Site(AlbumCollection(Album(own_album)))
    with client_of(site) as client:
        yield client, own_album
    site.close()


def ids_of(client: httpx.Client, count: int = 50) -> list[str]:
    pictures = client.get("/api/v1/pictures", params={"count": count}).json()["pictures"]
    return [own["id"] for own in pictures]


def picture_bytes(client: httpx.Client, id: str) -> bytes:
    return client.get(f"/api/v1/pictures/{id}/file").content


def problem(response: Any, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:problem-type:lookalike:{name}"
    assert body["status"] == status
    assert body["request"] == response.headers["x-request-id"]
    return body


# ---- pictures


def test_collection_says_what_is_served(client: httpx.Client, digits: httpx.Client) -> None:
    own = client.get("/api/v1/collection").json()
    assert own["kind"] == "album"
    assert own["encoders"] == ["pdq", "phash"]
    assert digits.get("/api/v1/collection").json()["pictures"] == 1797


def test_pages_of_pictures_have_each_once(client: httpx.Client) -> None:
    everything = ids_of(client, 200)
    parts = [
        [own["id"] for own in client.get(f"/api/v1/pictures?first={n}&count=7").json()["pictures"]]
        for n in range(0, 60, 7)
    ]
    assert [id_ for part in parts for id_ in part] == everything
    assert len(set(everything)) == len(everything) > 40


def test_a_picture_has_no_path_of_this_machine(client: httpx.Client, demo_album: Path) -> None:
    text = client.get(f"/api/v1/pictures/{ids_of(client)[0]}").text
    assert str(demo_album.parent) not in text
    assert json.loads(text)["files"]


@pytest.mark.parametrize("side", [96, 192, 384, 768])
def test_thumbnails_are_no_larger_and_are_kept_by_browsers(client: httpx.Client, side: int) -> None:
    address = f"/api/v1/pictures/{ids_of(client)[0]}/thumbnail?side={side}"
    first = client.get(address)
    assert max(Image.open(io.BytesIO(first.content)).size) <= side
    assert first.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert first.headers["x-content-type-options"] == "nosniff"
    for tags in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = client.get(address, headers={"If-None-Match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_other_sides_are_refused(client: httpx.Client) -> None:
    response = client.get(f"/api/v1/pictures/{ids_of(client)[0]}/thumbnail?side=100")
    problem(response, 422, "invalid-input")


def test_a_file_has_its_type_and_no_name(client: httpx.Client) -> None:
    response = client.get(f"/api/v1/pictures/{ids_of(client)[0]}/file")
    assert response.headers["content-disposition"] == "inline"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"].startswith("image/")


# ---- searches


def test_similar_pictures_are_those_of_the_library(client: httpx.Client, site: Site) -> None:
    for own_id in ids_of(client)[:10]:
        body = client.get(f"/api/v1/pictures/{own_id}/similar?k=5").json()
        found = site.album.album.search(picture_bytes(client, own_id), 20)
        others = dict.fromkeys(f"{own.content.id:016x}" for own in found)
        assert others.pop(own_id, 0) is None
        hits = [hit["picture"] for hit in body["hits"]]
        assert sum(len(hit["files"]) for hit in hits) == 5  # files with the same bytes are one hit
        assert [hit["id"] for hit in hits] == list(others)[: len(hits)]


def test_a_search_by_its_file_finds_the_picture_first(client: httpx.Client) -> None:
    own_id = ids_of(client)[3]
    data = picture_bytes(client, own_id)
    raw = client.post("/api/v1/search/picture?k=3", content=data)
    form = client.post("/api/v1/search/picture?k=3", files={"picture": ("../../x", data)})
    for response in (raw, form):
        assert response.json()["hits"][0]["picture"]["id"] == own_id
        assert response.json()["hits"][0]["distance"] == 0


def test_flips_find_a_mirrored_picture(client: httpx.Client) -> None:
    own_id = ids_of(client)[3]
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(picture_bytes(client, own_id)))
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(buffer, "PNG")
    response = client.post("/api/v1/search/picture?k=1&flips=true", content=buffer.getvalue())
    (hit,) = response.json()["hits"]
    assert hit["orientation"] == "mirrored"


def test_a_search_for_a_stored_vector_finds_its_picture(client: httpx.Client, site: Site) -> None:
    own_id = int(ids_of(client)[5], 16)
    vector = site.album.album.index("pdq").vectors([own_id])[0].tolist()
    body = {"encoder": "pdq", "vector": vector, "k": 1}
    (hit,) = client.post("/api/v1/search/vector", json=body).json()["hits"]
    assert (int(hit["picture"]["id"], 16), hit["distance"]) == (own_id, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"encoder": "pdq", "vector": [1, 2, 3]},
        {"encoder": "pdq", "vector": [0.5] * 32},
        {"encoder": "pdq", "vector": [-1] * 32},
        {"encoder": "pdq", "vector": [256] * 32},
        {"encoder": "other", "vector": [1] * 32},
        {"encoder": "pdq", "vector": [1] * 32, "k": 0},
        {"encoder": "pdq", "vector": [1] * 32, "k": 1001},
        {"encoder": "pdq", "vector": [1] * 32, "k": True},
        {"encoder": "pdq", "vector": [1] * 32, "recall": 0},
        {"encoder": "pdq", "vector": [1] * 32, "else": 0},
        {"vector": [1] * 32},
    ],
)
def test_vectors_that_cannot_be_are_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    problem(client.post("/api/v1/search/vector", json=body), 422, "invalid-input")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400])
def test_numbers_that_json_does_not_know_are_refused(client: httpx.Client, number: str) -> None:
    text = f'{{"encoder": "pdq", "vector": [{number}]}}'
    response = client.post(
        "/api/v1/search/vector", content=text, headers={"Content-Type": "application/json"}
    )
    problem(response, 422, "invalid-input")


@pytest.mark.parametrize(
    "query",
    ["k=0", "k=1001", "k=x", "k=1e3", "recall=0", "recall=1.1", "recall=nan", "encoder=other"],
)
def test_searches_that_cannot_be_are_refused(client: httpx.Client, query: str) -> None:
    response = client.get(f"/api/v1/pictures/{ids_of(client)[0]}/similar?{query}")
    problem(response, 422, "invalid-input")


def test_how_a_search_goes_has_ids_as_text(client: httpx.Client) -> None:
    own_id = ids_of(client)[0]
    by_id = client.get(f"/api/v1/pictures/{own_id}/how?k=4").json()["searches"]
    assert [own["encoder"] for own in by_id] == ["pdq", "phash"]
    data = picture_bytes(client, own_id)
    by_picture = client.post("/api/v1/how/picture?k=4", content=data).json()["searches"]
    for one, other in zip(by_id, by_picture, strict=True):
        assert one["hits"] == other["hits"]
        assert one["hits"][0] == {"id": own_id, "distance": 0.0}
        assert one["exact"]["ids"][0] == own_id
        assert one["steps"][-1]["left"] >= 1


def test_explain_compares_two_pictures(client: httpx.Client) -> None:
    own_id = ids_of(client)[0]
    hit = client.get(f"/api/v1/pictures/{own_id}/similar?k=1").json()["hits"][0]
    body = client.get(
        "/api/v1/explain", params={"one": own_id, "other": hit["picture"]["id"]}
    ).json()
    assert (body["one"], body["other"]) == (own_id, hit["picture"]["id"])
    assert hit["distance"] in [own["distance"] for own in body["encoders"]]


def test_digits_are_searched(digits: httpx.Client) -> None:
    seven = digits.get("/api/v1/pictures/0000000000000007").json()
    assert seven["label"] == "7"
    body = digits.get("/api/v1/pictures/0000000000000007/similar?k=5").json()
    assert {hit["picture"]["label"] for hit in body["hits"]} == {"7"}


# ---- problems


def test_unknown_pictures_are_not_found(client: httpx.Client) -> None:
    for path in ("", "/similar", "/thumbnail", "/file", "/how"):
        problem(client.get(f"/api/v1/pictures/{NOBODY}{path}"), 404, "unknown")


@pytest.mark.parametrize("id", ["1", "g" * 16, "f" * 16, "0" * 17, "..%2F..%2Fetc%2Fpasswd"])
def test_ids_that_cannot_be_are_refused(client: httpx.Client, id: str) -> None:
    assert client.get(f"/api/v1/pictures/{id}").status_code in (404, 422)


def test_what_is_no_picture_is_a_problem(client: httpx.Client) -> None:
    response = client.post("/api/v1/search/picture", content=b"GIF89a but not really")
    problem(response, 422, "unreadable-image")
    problem(client.post("/api/v1/search/picture"), 422, "invalid-input")


def test_albums_are_not_asked_what_only_digits_know(digits: httpx.Client) -> None:
    for path in ("/album", "/sync", "/sync/events", "/sync/unreadable"):
        problem(digits.get(f"/api/v1{path}"), 409, "not-supported")


def test_addresses_and_methods_that_are_not_there_are_problems(client: httpx.Client) -> None:
    problem(client.get("/api/v1/nothing"), 404, "not-found")
    response = client.delete("/api/v1/collection")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET"
    assert client.post("/health").status_code == 405


def test_request_ids_are_taken_if_they_are_sane(client: httpx.Client) -> None:
    for sane in ("abc-1.2_3", "a" * 64):
        response = client.get("/health", headers={"X-Request-ID": sane})
        assert response.headers["x-request-id"] == sane
    for wild in ("a" * 65, "a b", "<script>", ""):
        response = client.get("/health", headers={"X-Request-ID": wild})
        assert response.headers["x-request-id"] != wild


def test_a_mistake_of_ours_is_told_by_its_number_alone(
    site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(id: str) -> None:
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(site.collection, "item", fail)
    response = client.get(f"/api/v1/pictures/{NOBODY}", headers={"X-Request-ID": "mistake-1"})
    problem(response, 500, "unexpected")
    assert "secret" not in response.text
    log = capsys.readouterr().err
    assert "mistake-1" in log
    assert "/secret/place" in log


def test_problems_leak_no_paths(
    site: Site, client: httpx.Client, demo_album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, status in (
        (CorruptStore(f"{demo_album}/a b/c d.index", "it is short"), 500),
        (Locked(f"process 7 holds {site.album.album.home}/writer.lock"), 409),
        (CorruptStore("/somewhere/else/x.index", "it is short"), 500),
    ):

        def fail(id: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(site.collection, "item", fail)
        response = client.get(f"/api/v1/pictures/{NOBODY}")
        assert response.status_code == status
        assert str(demo_album.parent) not in response.text
        assert "somewhere" not in response.text


def test_too_many_are_told_when_to_come_again(demo_album: Path) -> None:
    site = Site(AlbumCollection(Album(demo_album)), Limits(waiting=0))
    with client_of(site) as client:
        response = client.get("/api/v1/collection")
        problem(response, 503, "busy")
        assert response.headers["retry-after"] == "1"
        assert client.get("/metrics").status_code == 200
    site.close()


def test_what_takes_too_long_is_given_up(demo_album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(AlbumCollection(Album(demo_album)), Limits(seconds=0.05))
    done = threading.Event()
    monkeypatch.setattr(site.collection, "item", lambda _: done.wait(10))
    with client_of(site) as client:
        problem(client.get(f"/api/v1/pictures/{NOBODY}"), 504, "too-slow")
        done.set()
    site.close()


# ---- the album


def test_album_facts_name_no_place(client: httpx.Client, demo_album: Path) -> None:
    response = client.get("/api/v1/album")
    assert str(demo_album) not in response.text
    assert response.json()["encoders"]["pdq"]["vectors"] > 40


def test_recall_is_measured_with_its_interval(client: httpx.Client, digits: httpx.Client) -> None:
    own = client.get("/api/v1/measure?encoder=phash&k=5").json()
    assert (own["encoder"], own["k"], own["recall"]) == ("phash", 5, 1.0)
    other = digits.get("/api/v1/measure?k=5").json()
    assert other["low"] <= other["recall"] <= other["high"]


def ended(client: httpx.Client) -> dict[str, Any]:
    for _ in range(600):
        state: dict[str, Any] = client.get("/api/v1/sync").json()
        if state["phase"] == "idle":
            return state
        time.sleep(0.05)
    raise AssertionError("the sync does not end")


def test_a_sync_is_seen_by_searches(own: tuple[httpx.Client, Path]) -> None:
    client, folder = own
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).resize((256, 256)).save(folder / "new.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    before = client.get("/api/v1/collection").json()["pictures"]
    started = client.post("/api/v1/sync")
    assert started.status_code == 202
    problem(client.post("/api/v1/sync"), 409, "locked")
    assert client.get(f"/api/v1/pictures/{ids_of(client)[0]}/similar").status_code == 200
    state = ended(client)
    assert (state["ended"], state["report"]["new"]) == ("well", 2)
    assert client.get("/api/v1/collection").json()["pictures"] > before
    data = (folder / "new.png").read_bytes()
    hits = client.post("/api/v1/search/picture?k=1", content=data).json()["hits"]
    assert hits[0]["picture"]["title"] == "new.png"
    unreadable = client.get("/api/v1/sync/unreadable").json()
    assert "broken.jpg" in [file["path"] for file in unreadable["files"]]


def test_a_cancelled_sync_says_so(own: tuple[httpx.Client, Path]) -> None:
    client, folder = own
    for number in range(40):
        Image.new("RGB", (300, 300), (number, 5 * number, 9)).save(folder / f"{number}.png")
    client.post("/api/v1/sync")
    assert client.delete("/api/v1/sync").status_code == 202
    assert ended(client)["ended"] == "cancelled"
    client.post("/api/v1/sync")
    assert ended(client)["ended"] == "well"


def test_a_sync_that_fails_says_why_without_a_path(own: tuple[httpx.Client, Path]) -> None:
    client, folder = own
    folder.rename(folder.with_name("elsewhere"))
    client.post("/api/v1/sync")
    state = ended(client)
    folder.with_name("elsewhere").rename(folder)
    assert state["ended"] == "badly"
    assert str(folder.parent) not in json.dumps(state)


def test_news_of_a_sync_are_events(own_album: Path) -> None:
    site = Site(AlbumCollection(Album(own_album)))
    ending = threading.Timer(1.5, site.end_news)  # as a server that ends does
    with client_of(site) as client:
        client.post("/api/v1/sync")
        ending.start()
        response = client.get("/api/v1/sync/events")
    site.close()
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [event for event in response.text.split("\n\n") if event]
    assert all(event.startswith("event: sync\ndata: {") for event in events)
    last = json.loads(events[-1].split("data: ")[1].split("\n")[0])
    assert last["run"] == 1


# ---- who looks after it


def test_alive_and_ready_are_told_apart(
    site: Site, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/ready").json() == {"status": "ready"}

    def fail() -> None:
        raise CorruptStore("an index", "it is short")

    monkeypatch.setattr(site.collection, "check", fail)
    problem(client.get("/ready"), 503, "not-ready")
    assert client.get("/health").json() == {"status": "alive"}


def test_metrics_count_routes_not_addresses(client: httpx.Client) -> None:
    for own_id in ids_of(client)[:3]:
        client.get(f"/api/v1/pictures/{own_id}/similar")
    client.get(f"/api/v1/nothing/{NOBODY}")
    text = client.get("/metrics").text
    assert (
        'lookalike_requests_total{method="GET",route="/api/v1/pictures/{id}/similar",status="200"}'
        in text
    )
    assert NOBODY not in text
    assert "lookalike_request_seconds_bucket" in text
    assert "lookalike_pictures " in text
    assert 'lookalike_searches_total{by="id"}' in text
    assert "lookalike_sync_running 0.0" in text


def test_sites_do_not_share_their_metrics(digits: httpx.Client) -> None:
    assert "lookalike_pictures 1797.0" in digits.get("/metrics").text
    assert "lookalike_sync_running" not in digits.get("/metrics").text


# ---- the lab, and what is written about all of it


def test_the_lab_measures_bits_and_tables(digits: httpx.Client, client: httpx.Client) -> None:
    body = digits.get("/api/v1/lab/tables?k=8&m=4").json()
    assert (body["k"], body["m"], len(body["neighbours"])) == (8, 4, 10)
    problem(digits.get("/api/v1/lab/tables?k=65"), 422, "invalid-input")
    problem(client.get("/api/v1/lab/tables"), 409, "not-supported")


def test_every_route_is_written_about(client: httpx.Client) -> None:
    text = Path(__file__).parents[2].joinpath("docs/http-api.md").read_text()
    written = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", text, re.MULTILINE))
    paths = client.get("/openapi.json").json()["paths"]
    assert written == {f"{verb.upper()} {path}" for path, own in paths.items() for verb in own}
