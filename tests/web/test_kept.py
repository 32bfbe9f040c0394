"""Pictures that were uploaded are kept, within bounds, under names that nobody can guess."""

from __future__ import annotations

import re
import threading

import pytest

from lookalike.web.collection import Unknown
from lookalike.web.kept import Kept


def test_what_is_kept_is_there_byte_by_byte() -> None:
    kept = Kept()
    names = {kept.keep(data): data for data in (b"one", b"", b"\0\xff" * 50)}
    assert {name: kept.get(name) for name in names} == names
    assert (len(kept), kept.size_bytes) == (3, 103)


def test_the_same_picture_twice_has_two_names_of_128_bits() -> None:
    kept = Kept()
    names = {kept.keep(b"the same") for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_all_together_have_at_most_so_many_bytes() -> None:
    kept = Kept(most_bytes=100)
    names = [kept.keep(bytes(30)) for _ in range(4)]
    assert (len(kept), kept.size_bytes) == (3, 90)
    with pytest.raises(Unknown):
        kept.get(names[0])
    assert kept.get(names[3]) == bytes(30)


def test_exactly_as_many_bytes_as_may_be_stay() -> None:
    kept = Kept(most_bytes=100)
    names = [kept.keep(bytes(50)) for _ in range(2)]
    assert [len(kept.get(name)) for name in names] == [50, 50]


def test_who_was_not_asked_for_the_longest_goes_first() -> None:
    kept = Kept(most_bytes=100)
    first, second, third = (kept.keep(bytes(30)) for _ in range(3))
    kept.get(first)
    kept.media(second)  # a browser that shows it asks for it too
    kept.keep(bytes(30))
    with pytest.raises(Unknown):
        kept.get(third)
    assert kept.get(first) == kept.get(second) == bytes(30)


def test_a_large_one_takes_the_room_of_several() -> None:
    kept = Kept(most_bytes=100)
    for _ in range(3):
        kept.keep(bytes(30))
    name = kept.keep(bytes(95))
    assert (len(kept), kept.size_bytes) == (1, 95)
    assert len(kept.get(name)) == 95


def test_one_that_is_larger_than_all_may_be_is_kept_alone() -> None:
    kept = Kept(most_bytes=10)
    kept.keep(b"small")
    name = kept.keep(bytes(20))
    assert len(kept.get(name)) == 20
    assert (len(kept), kept.size_bytes) == (1, 20)
    kept.keep(b"small")
    assert (len(kept), kept.size_bytes) == (1, 5)


def test_what_is_not_there_is_unknown_and_told_in_short() -> None:
    with pytest.raises(Unknown, match=r"got '(x{40})', which is not there") as told:
        Kept().get("x" * 5_000)
    assert len(str(told.value)) < 250


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"BMrest", "image/bmp"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"RIFF\0\0\0\0WAVEfmt ", "application/octet-stream"),
        (b"<svg onload='alert(1)'>", "application/octet-stream"),
        (b"<html><script>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_first_bytes_and_never_one_that_runs_scripts(
    data: bytes, kind: str
) -> None:
    kept = Kept()
    media = kept.media(kept.keep(data))
    assert (media.data, media.type) == (data, kind)


def test_the_etag_is_of_the_bytes() -> None:
    kept = Kept()
    one, same, other = (kept.media(kept.keep(data)).etag for data in (b"one", b"one", b"other"))
    assert one == same != other


def test_many_threads_keep_the_count_right() -> None:
    kept = Kept(most_bytes=1_000)

    def keep() -> None:
        for size in range(1, 200):
            kept.keep(bytes(size))

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.size_bytes == sum(map(len, kept._kept.values())) <= 1_000
