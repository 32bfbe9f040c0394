"""The album: a folder of pictures, its catalogue, and an index for each encoder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike import arrays
from lookalike.album.acting import Applied, Undone, apply, recover, undo
from lookalike.album.asked import Asked, PictureLike
from lookalike.album.catalog import Catalog, Content, File, content_id, shown
from lookalike.album.comparison import Comparison, judged
from lookalike.album.decisions import (
    Decision,
    decided,
    decisions,
    forget,
    keep_group,
    not_duplicates,
)
from lookalike.album.deeds import Act, journal
from lookalike.album.duplicates import DuplicateGroup, Member, find_duplicates, with_keepers
from lookalike.album.facts import (
    AlbumFacts,
    AlbumRepaired,
    AlbumVerified,
    facts_of,
    repaired,
    verified,
)
from lookalike.album.matches import Match, Matches, Orientation, Query, find, orientations
from lookalike.album.plan import Plan
from lookalike.album.sync import Progress, Synced, sync
from lookalike.album.thresholds import Calibrated, Example, calibrate, thresholds_of
from lookalike.album.walk import HOME, Rules
from lookalike.errors import (
    CorruptStore,
    InvalidInput,
    LookalikeError,
    NotWritten,
    UnreadableFile,
    UnreadableImage,
)
from lookalike.index import Index
from lookalike.pictures.encoders import Encoder, default_encoders, encoder_named, identity
from lookalike.pictures.jobs import Stamp
from lookalike.pictures.pool import Pool
from lookalike.store.folder import is_index
from lookalike.store.lock import WriterLock

__all__ = ["Album", "is_album"]

Folder = str | os.PathLike[str] | bytes

_LOCK = "writer.lock"
_INSTEAD = "Wait until it has ended; what it has done until now can be searched."
_SEES_TOO_LITTLE = "{} sees too little in this picture to tell it from others"
_RECALL = 0.99  # of encoders whose vectors are no bits


class Album:
    """A folder of pictures, kept in step with its indexes.

    Parameters
    ----------
    path : path
        The folder. Nothing in it is ever changed but by ``apply`` and ``undo``.
    encoders : sequence of str, optional
        What pictures are compared by: "pdq", "phash", "pixels", "embedding", "onnx:MODEL.onnx", or
        that of a plug-in. Unless given, those of the last sync; of a new album "pdq" and "phash",
        and "embedding" where it is installed.
    at : path, optional
        Folder of the album's own files, for pictures on a disk that is only read. ".lookalike" in
        the album unless given.

    Notes
    -----
    An album may be searched from many threads and processes while one of them syncs: each search
    sees what was committed when it began.

    Examples
    --------
    >>> import lookalike
    >>> album = lookalike.Album("photos")  # doctest: +SKIP
    >>> print(album.sync())  # doctest: +SKIP
    >>> album.search("cat.jpg", k=3)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        encoders: Sequence[str] | None = None,
        at: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            what = "a file" if self.path.exists() else "nothing"
            raise UnreadableFile(
                f"an album must be a folder of pictures; got {self.path}, where there is {what}. "
                "Check the path."
            )
        self.home = self.path / os.fsdecode(HOME) if at is None else Path(at)
        self._wanted = None if encoders is None else _checked_specs(encoders)
        self._catalog: Catalog | None = None
        self._encoders: dict[str, Encoder] = {}
        self._indexes: dict[str, Index] = {}
        self._opening = threading.RLock()

    def __repr__(self) -> str:
        if not self.is_synced:
            return f"<Album {self.path}, not synced yet>"
        count = self.catalog.count()
        return f"<Album {self.path}, {count['pictures']:,} pictures, {', '.join(self.encoders)}>"

    @property
    def is_synced(self) -> bool:
        """Whether it has a catalogue."""
        return is_album(self.home)

    @property
    def catalog(self) -> Catalog:
        """The catalogue.

        Raises
        ------
        UnreadableFile
            Before the first sync.
        """
        with self._opening:
            if self._catalog is None:
                self._catalog = Catalog(self.home, create=False)
            return self._catalog

    @property
    def encoders(self) -> tuple[str, ...]:
        """What pictures are compared by."""
        if self._wanted is not None:
            return self._wanted
        is_there = self._catalog is not None or self.is_synced
        known = self.catalog.fact("encoders", {}) if is_there else {}
        return tuple(map(str, known)) or default_encoders()  # the first sync has none there yet

    def encoder(self, name: str) -> Encoder:
        """An encoder of this album, by its name."""
        if name not in self.encoders:
            raise InvalidInput(
                f"encoder must be one of this album: {', '.join(self.encoders)}; got {name!r}. Add "
                "it with sync."
            )
        return self._known(name)

    def _known(self, name: str) -> Encoder:
        with self._opening:
            if name not in self._encoders:
                self._encoders[name] = encoder_named(name)
            return self._encoders[name]

    def index(self, encoder: str) -> Index:
        """The index of an encoder, as it is on the disk now, to be searched.

        Raises
        ------
        CorruptStore
            When it is damaged: see ``verify``.
        """
        with self._opening:
            index = self._indexes.get(encoder)
            if index is None:
                index = self._indexes[encoder] = self._opened(encoder)
            elif index.refresh():
                _check_made_by(index, self.encoder(encoder), self.home)
            return index

    def _opened(self, encoder: str) -> Index:
        own = self.encoder(encoder)
        self.check_has(encoder)
        index = Index.open(self.folder_of(encoder))
        _check_made_by(index, own, self.home)
        return index

    def check_has(self, encoder: str) -> None:
        """Refuse an encoder that is wanted, but has no index before the next sync."""
        known = self.catalog.fact("encoders", {})
        if encoder not in known and not is_index(self.folder_of(encoder)):
            raise InvalidInput(
                f"an encoder must be one that the album was synced with, {', '.join(known)}; got "
                f"{encoder!r}. Run sync, which adds it."
            )

    def close(self) -> None:
        """Let go of the files. The album can be used again."""
        with self._opening:
            if self._catalog is not None:
                self._catalog.close()
            self._catalog = None
            self._indexes.clear()

    def __enter__(self) -> Album:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ---- sync

    def sync(
        self,
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        hidden: bool | None = None,
        links: bool | None = None,
        checksum: bool = False,
        emptied: bool = False,
        retry: bool = False,
        workers: int | None = None,
        timeout_s: float = 60.0,
        progress: Progress | None = None,
    ) -> Synced:
        """Find new, changed, moved and deleted pictures, and bring the indexes into step.

        May be interrupted at any instant, and goes on where it was: at most a batch of 256
        pictures is encoded a second time.

        Parameters
        ----------
        include, exclude : sequence of str, optional
            Patterns as of the shell, for paths in the album if they have a slash, for names
            otherwise. Unless included files are given, the endings of pictures are. What is given
            here is remembered for later syncs, as are the next two, once files were found by it;
            an empty sequence takes it back.
        hidden : bool, optional
            Whether files and folders whose name begins with a dot belong to it; no unless given.
        links : bool, optional
            Whether symbolic links are followed; no unless given.
        checksum : bool
            Read every file, also where size and times are as they were.
        emptied : bool
            Say that it is right that no picture is there any more.
        retry : bool
            Read unreadable pictures again, although they have not changed.
        workers : int, optional
            Processes that decode and encode; one for each core unless given.
        timeout_s : float
            For one file. One that takes longer is reported, and tried once more by the next sync.
        progress : callable, optional
            Called with files that were looked at and None, then with those that were read and
            how many there are to read. False cancels: what was committed stays.

        Returns
        -------
        Synced
            Counts, and every file that could not be read, with the reason.

        Raises
        ------
        Locked
            When another process syncs it.
        UnreadableFile
            When no file is there any more, or none that matches the patterns.
        InvalidInput
            When an encoder is not the one that made the index: versions are not mixed.
        Cancelled
        """
        with self.changing() as catalog:
            recover(self.path, catalog)  # what an apply or undo that was killed has left
            rules = self._rules(catalog, include, exclude, hidden, links)
            encoders = {name: encoder_named(name) for name in self.encoders}
            with contextlib.ExitStack() as stack:
                indexes = {
                    name: stack.enter_context(self._writable(name, own))
                    for name, own in encoders.items()
                }
                again = self._unreadable(catalog) if retry else frozenset()
                pool = stack.enter_context(
                    Pool(list(encoders), workers=workers, timeout_s=timeout_s)
                )
                return sync(
                    self.path,
                    catalog,
                    indexes,
                    rules,
                    pool,
                    checksum=checksum,
                    emptied=emptied,
                    again=again,
                    looked=lambda: self._remember(catalog, rules, encoders),
                    progress=progress,
                )

    @contextlib.contextmanager
    def changing(self) -> Iterator[Catalog]:
        """Change the album as the only one who does, for as long as the block runs.

        Raises
        ------
        Locked
            When another process does.
        NotWritten
            When its own files cannot be written.
        """
        lock = self._locked()
        try:
            with self._opening:
                if self._catalog is None:
                    self._catalog = Catalog(self.home, create=True)
            yield self._catalog
        finally:
            lock.release()

    def _locked(self) -> WriterLock:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            return WriterLock(self.home / _LOCK, _INSTEAD)
        except LookalikeError:  # which may be an OSError as well
            raise
        except OSError as error:
            raise NotWritten(
                f"the own files of an album must be in a folder that can be written, for it to be "
                f"changed; {self.home} cannot: {error.strerror}. Give access, or choose another "
                "folder for them: --album HOME, at= in Python."
            ) from error

    def _rules(
        self,
        catalog: Catalog,
        include: Sequence[str] | None,
        exclude: Sequence[str] | None,
        hidden: bool | None,
        links: bool | None,
    ) -> Rules:
        """The rules of the last sync, but for what is given now."""
        facts = catalog.fact("rules", Rules().to_facts())
        given = {"include": include, "exclude": exclude, "hidden": hidden, "links": links}
        return Rules.of(facts | {name: own for name, own in given.items() if own is not None})

    def _unreadable(self, catalog: Catalog) -> frozenset[int]:
        return frozenset(
            own for (own,) in catalog.ask("SELECT id FROM contents WHERE reason IS NOT NULL")
        )

    def _remember(self, catalog: Catalog, rules: Rules, encoders: Mapping[str, Encoder]) -> None:
        """Remember what a sync was given; drop the indexes that are not wanted any more."""
        others = set(catalog.fact("encoders", {})) - set(encoders)
        with catalog.change():
            catalog.set_fact("rules", rules.to_facts())
            catalog.set_fact("encoders", {n: identity(e) for n, e in encoders.items()})
        for name in others:
            shutil.rmtree(self.folder_of(name), ignore_errors=True)

    def _writable(self, name: str, encoder: Encoder) -> Index:
        """The index of an encoder, open for changes; a new one if there is none."""
        folder = self.folder_of(name)
        if not is_index(folder):
            is_bits = encoder.metric == "hamming"
            Index(
                encoder.metric,
                recall=None if is_bits else _RECALL,
                width_bits=encoder.dimension if is_bits else None,
                encoder=_text_of(encoder),
            ).save(folder)
        index = Index.open(folder, "r+")
        try:
            _check_made_by(index, encoder, self.home)
        except BaseException:
            index.close()
            raise
        return index

    # ---- search

    def search(
        self,
        picture: PictureLike,
        k: int = 10,
        *,
        encoder: str | None = None,
        flips: bool = False,
        rotations: bool = False,
        recall: float | None = None,
        threads: int = 1,
    ) -> Matches:
        """Find the pictures that look most like one.

        Parameters
        ----------
        picture : path, bytes or ndarray
            A file, in the album or not (one of the album is left out of its own result); the
            bytes of a file; or pixels (h, w) or (h, w, 3), uint8.
        k : int
            How many to find.
        encoder : str, optional
            To compare by this one alone. Otherwise each picture counts by the encoder that finds it
            nearest, in units of its threshold for similar pictures: see :meth:`thresholds`.
        flips, rotations : bool
            Look for mirrored pictures too; for those turned by quarters.
        recall : float, optional
            The share of the nearest to be found, for this call; 0.99 unless given. Of bits, all
            are found.
        threads : int

        Returns
        -------
        Matches
            At most k, the nearest first. ``notes`` says when an encoder sees too little in the
            picture.

        Raises
        ------
        UnreadableImage
            When the picture cannot be read.
        InvalidInput
            For a wrong k, encoder, or pixels.
        """
        names = self.encoders if encoder is None else (encoder,)
        query, notes = self._query(
            picture,
            {name: self.encoder(name) for name in names},
            orientations(flips=flips, rotations=rotations),
        )
        return Matches(self.find(query, k, recall=recall, threads=threads), notes)

    def find(
        self, query: Query, k: int = 10, *, recall: float | None = None, threads: int = 1
    ) -> list[Match]:
        """Find the pictures nearest to ready vectors.

        Parameters
        ----------
        query : Query
            With the vectors of some encoders of this album.
        k, recall, threads
            As for :meth:`search`.
        """
        indexes = {name: self.index(name) for name in query.vectors}
        return self._found([query], indexes, k, recall, threads)[0]

    def similar(
        self,
        content: int,
        k: int = 10,
        *,
        encoder: str | None = None,
        recall: float | None = None,
        threads: int = 1,
    ) -> Matches:
        """Find what looks like a member, by its stored vectors: no picture is read.

        Parameters
        ----------
        content : int
            Id of its bytes. All files that have them are left out.
        k, encoder, recall, threads
            As for :meth:`search`.
        """
        return self.similar_to_each([content], k, encoder=encoder, recall=recall, threads=threads)[
            0
        ]

    def similar_to_each(
        self,
        contents: Sequence[int],
        k: int = 10,
        *,
        encoder: str | None = None,
        recall: float | None = None,
        threads: int = 1,
    ) -> list[Matches]:
        """Find what looks like each of some members: as :meth:`similar`, and cheaper together.

        Parameters
        ----------
        contents : sequence of int
            Ids of their bytes.
        k, encoder, recall, threads
            As for :meth:`search`.
        """
        indexes = self._indexes_of(encoder)
        stored = _stored(contents, indexes)
        queries = [
            Query(vectors, without=content)
            for content, (vectors, _) in zip(contents, stored, strict=True)
        ]
        found = self._found(queries, indexes, k, recall, threads)
        return [Matches(own, notes) for own, (_, notes) in zip(found, stored, strict=True)]

    def vectors(self, content: int, *, encoder: str | None = None) -> dict[str, npt.NDArray[Any]]:
        """The stored vectors of a member, by encoder, each of shape (1, d).

        Encoders that see too little in it have none.
        """
        return _stored([content], self._indexes_of(encoder))[0][0]

    def _indexes_of(self, encoder: str | None) -> dict[str, Index]:
        if encoder is not None:
            self.encoder(encoder)  # refuses what is none of this album
        return {
            name: self.index(name) for name in (self.encoders if encoder is None else (encoder,))
        }

    def _found(
        self,
        queries: Sequence[Query],
        indexes: Mapping[str, Index],
        k: int,
        recall: float | None,
        threads: int,
    ) -> list[list[Match]]:
        k = arrays.positive_integer(k, "k", 2**31)
        encoders = {name: self._known(name) for name in indexes}
        with self.catalog.view():
            similar = thresholds_of("similar", encoders, self._calibrated())
            return find(queries, self.catalog, indexes, encoders, similar, k, recall, threads)

    def _query(
        self,
        picture: PictureLike,
        encoders: Mapping[str, Encoder],
        turned: tuple[Orientation, ...],
    ) -> tuple[Query, list[str]]:
        """The vectors of a picture, in all orientations that are looked for."""
        asked = self._asked(picture)
        file = asked.file
        if (
            file is not None
            and file.content is not None
            and turned == (Orientation.UPRIGHT,)
            and self._is_as_synced(file)
        ):
            ((stored, notes),) = _stored(
                [file.content], {name: self.index(name) for name in encoders}
            )
            if not stored:
                self._check_readable(file)
            return Query(stored, content=file.content, path=file.name.path), notes
        pixels = asked.pixels()
        vectors, notes = {}, []
        for name, own in encoders.items():
            encoded = own.encode([np.ascontiguousarray(turn.of(pixels)) for turn in turned])
            if encoded.usable.all():
                vectors[name] = encoded.vectors
            else:
                notes.append(_SEES_TOO_LITTLE.format(name))
        return Query(
            vectors, turned, content_id(asked.digest()), None if file is None else file.name.path
        ), notes

    def _check_readable(self, file: File) -> None:
        """Refuse what has no vectors since it is no picture that can be read."""
        content = None if file.content is None else self.catalog.content(file.content)
        if content is not None and content.reason is not None:
            raise UnreadableImage(str(self._path_of(file)), content.reason)

    def _is_as_synced(self, file: File) -> bool:
        """Whether a file has not changed since it was encoded."""
        try:
            status = self._path_of(file).lstat()
        except OSError:
            return file.content is not None  # it is gone, and can still be searched for
        return file.content is not None and Stamp.of(status) == file.stamp

    def explain(self, one: PictureLike, other: PictureLike) -> Comparison:
        """Why two pictures match, or why a search for the one does not find the other.

        Parameters
        ----------
        one, other : path, bytes or ndarray
            As for :meth:`search`; in the album or not.

        Returns
        -------
        Comparison
            What each encoder says: the distance, its thresholds, and the chance of a miss.
            ``print`` it, or take ``to_dict()``.
        """
        both = [self._asked(one), self._asked(other)]
        pixels = [asked.pixels() for asked in both]
        near, similar = self.thresholds("near"), self.thresholds("similar")
        judgements = []
        for name in self.encoders:
            own = self.encoder(name)
            first, second = (_encoded(own, of) for of in pixels)
            judgements.append(
                judged(name, own, self.index(name), first, second, near[name], similar[name])
            )
        digests = [asked.digest() for asked in both]
        decision = decided(self.catalog, *(Content(digest, 0) for digest in digests))
        same = digests[0] == digests[1]
        return Comparison(str(both[0]), str(both[1]), same, tuple(judgements), decision)

    def _asked(self, picture: PictureLike) -> Asked:
        file = self.member(picture) if isinstance(picture, str | os.PathLike) else None
        return Asked(picture, self.path, file)

    def thresholds(self, level: str) -> dict[str, float]:
        """The distance of each encoder up to which pictures are "near" or "similar".

        Parameters
        ----------
        level : {"exact", "near", "similar"}
            "exact" has none: bytes are equal or not.
        """
        encoders = {name: self.encoder(name) for name in self.encoders}
        return thresholds_of(level, encoders, self._calibrated())

    def _calibrated(self) -> dict[str, dict[str, float]]:
        """Thresholds that were calibrated, by level and encoder."""
        facts = self.catalog.fact("thresholds", {})
        try:
            return {
                str(level): {str(name): arrays.as_radius(own) for name, own in limits.items()}
                for level, limits in facts.items()
            }
        except (AttributeError, LookalikeError) as error:
            raise CorruptStore(str(self.home), f"thresholds are no numbers: {facts!r}") from error

    # ---- duplicates

    def duplicates(
        self,
        level: str = "near",
        *,
        radius: Mapping[str, float] | None = None,
        keep: str = "original",
        prefer: Sequence[Folder] = (),
        reference: Sequence[Folder] = (),
        across: tuple[Folder, Folder] | None = None,
        split: bool = False,
        progress: Callable[[float], object] | None = None,
        threads: int = 1,
    ) -> list[DuplicateGroup]:
        """Find groups of pictures that are the same, or made of each other.

        Parameters
        ----------
        level : {"exact", "near", "similar"}
            "exact": files with the same bytes. "near": also what any encoder calls the same but
            for how it was saved. "similar": also what may be made of the other by an edit.
        radius : mapping of str to float, optional
            In place of the level: a distance for each encoder that is asked, by its name.
        keep : {"original", "largest", "oldest", "sharpest", "preferred"}
            Which member is suggested to stay. "original": one that has its camera's date, of those
            with half of the most pixels at the least; then the largest.
        prefer : sequence of paths
            For "preferred": folders, the most preferred first.
        reference : sequence of paths
            Folders whose files always stay, and are compared with others only.
        across : tuple of two paths, optional
            Folders of which a pair must have one file each.
        split : bool
            Split groups so that any two members are within a threshold, not only chained.
        progress : callable, optional
            Called now and then with the part of the work that is done; False cancels.
        threads : int

        Returns
        -------
        list of DuplicateGroup
            Those that free the most bytes first. What was decided is heeded.

        Raises
        ------
        InvalidInput
            For an unknown level, rule, encoder or folder.
        """
        limits = self.thresholds(level) if radius is None else dict(radius)
        return find_duplicates(
            self.catalog,
            # Of its own: others are refreshed when somebody searches meanwhile.
            {name: self._opened(name) for name in limits},
            limits,
            keep=keep,
            prefer=[self._inside(own) for own in prefer],
            reference=[self._inside(own) for own in reference],
            across=None if across is None else (self._inside(across[0]), self._inside(across[1])),
            split=split,
            progress=progress,
            threads=threads,
        )

    def with_keepers(
        self,
        chosen: Sequence[tuple[DuplicateGroup, Member]],
        *,
        level: str = "near",
        radius: Mapping[str, float] | None = None,
        across: tuple[Folder, Folder] | None = None,
    ) -> list[DuplicateGroup]:
        """Groups in which you choose who stays: the others are compared with that one.

        Parameters
        ----------
        chosen : sequence of (DuplicateGroup, Member)
            Each group with the member of it that stays.
        level, radius, across
            As the groups were found with.

        Returns
        -------
        list of DuplicateGroup
            With these keepers. Only members that are linked to the keeper itself may go: what a
            chain alone joins with it stays.

        Raises
        ------
        InvalidInput
            When a member is none of its group, or not in the album any more.
        """
        limits = self.thresholds(level) if radius is None else dict(radius)
        return with_keepers(
            self.catalog,
            {name: self._opened(name) for name in limits},
            limits,
            chosen,
            across=None if across is None else (self._inside(across[0]), self._inside(across[1])),
        )

    def not_duplicates(self, *pictures: str | os.PathLike[str]) -> None:
        """Remember that no two of some pictures are duplicates, also after they were moved.

        Parameters
        ----------
        *pictures : path
            Two or more of the album.
        """
        contents = [self.content_of(own) for own in pictures]
        with self.changing() as catalog:
            not_duplicates(catalog, *contents)

    def keep(self, *pictures: str | os.PathLike[str]) -> None:
        """Remember that all of some pictures are to stay; they are shown when another joins them.

        Parameters
        ----------
        *pictures : path
            Of the album: those of a group of duplicates.
        """
        contents = [self.content_of(own) for own in pictures]
        with self.changing() as catalog:
            keep_group(catalog, contents)

    def decisions(self) -> list[Decision]:
        """What was decided, with the files that it is about now."""
        return decisions(self.catalog)

    def forget(self, decision: Decision) -> bool:
        """Take a decision back; whether it was there."""
        with self.changing() as catalog:
            return forget(catalog, decision) > 0

    def calibrate(
        self,
        pairs: Sequence[tuple[str | os.PathLike[str], str | os.PathLike[str], bool]],
        *,
        level: str = "near",
    ) -> Calibrated:
        """Set the thresholds of a level from pairs that you have judged.

        Parameters
        ----------
        pairs : sequence of (path, path, bool)
            Two pictures of the album, and whether they are the same to you.
        level : {"near", "similar"}

        Returns
        -------
        Calibrated
            ``print`` it: what was chosen, and the precision and recall to be expected.
        """
        encoders = {name: self.encoder(name) for name in self.encoders}
        indexes = {name: self.index(name) for name in encoders}
        examples = [
            Example(self.content_of(one), self.content_of(other), same)
            for one, other, same in pairs
        ]
        calibrated = calibrate(indexes, encoders, examples, level=level)
        with self.changing() as catalog, catalog.change():
            catalog.set_fact("thresholds", self._calibrated() | {level: calibrated.thresholds})
        return calibrated

    # ---- acting

    def plan(self, groups: Sequence[DuplicateGroup], *, reference: Sequence[Folder] = ()) -> Plan:
        """What would be done if the suggestions of some groups were followed.

        Parameters
        ----------
        groups : sequence of DuplicateGroup
            Of :meth:`duplicates`.
        reference : sequence of paths
            Folders nothing of which may go, now and when the plan was changed by hand.

        Returns
        -------
        Plan
            ``print`` it, ``write`` it to a file, or :meth:`apply` it.
        """
        return Plan.of(self.path, groups, [self._inside(own) for own in reference])

    def apply(
        self,
        plan: Plan,
        *,
        dry_run: bool = True,
        to: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Applied:
        """Move the files of a plan to the trash, or to a folder. Nothing is ever deleted.

        Each file is checked right before it is moved: its content and that of the one that stays
        must be those of the plan, byte for byte where the plan says that they are equal.

        Parameters
        ----------
        plan : Plan
        dry_run : bool
            Only check. This is what happens unless False is passed.
        to : path, optional
            A folder outside of the album to move files to, in place of the trash.
        progress : callable, optional
            Called with the files that were seen to and how many there are, before each of them
            and at the end. False cancels before the next one: what was moved stays moved, and can
            be undone.

        Returns
        -------
        Applied
            What was done, and what was refused, with the reason.

        Raises
        ------
        Cancelled
        """
        with self.changing() as catalog:
            target = None if to is None else Path(to)
            return apply(self.path, catalog, plan, dry_run=dry_run, to=target, progress=progress)

    def undo(
        self,
        act: int | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> Undone:
        """Bring the files of an :meth:`apply` back to where they were.

        Parameters
        ----------
        act : int, optional
            Its number; the last that was not undone unless given.
        dry_run : bool
            Only check.
        progress : callable, optional
            As for :meth:`apply`: what is back when it cancels stays, and the rest can be undone
            later.

        Returns
        -------
        Undone
            What was brought back, and what was not, with the reason. Nothing is overwritten.

        Raises
        ------
        Cancelled
        """
        with self.changing() as catalog:
            return undo(self.path, catalog, act, dry_run=dry_run, progress=progress)

    def journal(self) -> list[Act]:
        """What was done to files, the first act first."""
        return journal(self.catalog)

    # ---- what is in it

    def info(self) -> AlbumFacts:
        """What is in the album, by its catalogue and indexes."""
        return facts_of(self)

    def verify(
        self, *, progress: Callable[[int, int], object] | None = None, threads: int = 1
    ) -> AlbumVerified:
        """Read every byte of catalogue and indexes, and say whether they are as they were written.

        Parameters
        ----------
        progress : callable, optional
            Called with the bytes that were read and how many there are, index by index; False
            cancels.
        threads : int

        Returns
        -------
        AlbumVerified
            Its ``problems`` are empty when all is well. Pictures are not looked at: sync does.
        """
        return verified(self, progress, threads)

    def repair(
        self, *, progress: Callable[[int, int], object] | None = None, threads: int = 1
    ) -> AlbumRepaired:
        """Mend damaged indexes. The next sync encodes what was lost: pictures have it all.

        Parameters
        ----------
        progress : callable, optional
            As for :meth:`verify`.
        threads : int

        Raises
        ------
        CorruptStore
            When the catalogue is damaged. Move it away and sync, which makes another; decisions,
            thresholds and the journal are lost then.
        """
        with self.changing():
            self._indexes.clear()
            return repaired(self, progress, threads)

    def folder_of(self, encoder: str) -> Path:
        """Where the index of an encoder is, whose name may be any text."""
        if encoder.isascii() and encoder.isalnum():
            return self.home / f"{encoder}.index"
        plain = "".join(c for c in encoder.partition(":")[0] if c.isascii() and c.isalnum())
        return self.home / f"{plain}-{xxhash.xxh3_64_hexdigest(encoder.encode())}.index"

    def content_of(self, path: str | os.PathLike[str]) -> Content:
        """The content of a file of the album.

        Raises
        ------
        InvalidInput
            When it is none of the album, or no picture.
        """
        file, content = self.member(path), None
        other = self.catalog.find(os.fsencode(path)) if file is None else None
        if other is not None:
            raise InvalidInput(
                f"a picture must be one of the album {self.path}; got {os.fspath(path)!r}, where "
                f"there is another file, {Path(path).absolute()}, beside the one of the album, "
                f"{self._path_of(other)}. Give the full path of the one that is meant."
            )
        if file is not None and file.content is not None:
            content = self.catalog.content(file.content)
        if content is None or content.reason is not None:
            raise InvalidInput(
                f"a picture must be one of the album {self.path}; got {os.fspath(path)!r}, which "
                "its last sync did not find, or could not read. Run sync, or check the path."
            )
        return content

    def _inside(self, folder: Folder) -> bytes:
        """A folder by its path in the album."""
        own = os.fsencode(folder)
        root = os.fsencode(os.path.abspath(self.path))  # noqa: PTH100  # links stay
        full = os.path.abspath(own)  # noqa: PTH100
        if full == root:
            return b""
        if (full + b"/").startswith(root + b"/") and (os.path.isabs(own) or os.path.isdir(own)):  # noqa: PTH112, PTH117
            return full[len(root) + 1 :]
        return os.path.normpath(own) if own not in (b"", b".") else b""

    def member(self, path: str | os.PathLike[str]) -> File | None:
        """What the catalogue knows of a file: of the one at a path, or at that path in the album.

        A file that is there is the one that is meant: then the path is not read as one in the
        album, but where it is the same file.
        """
        full = os.path.abspath(os.fsencode(path))  # noqa: PTH100  # links stay
        for inside in _ways_inside(full, self.path):
            file = self.catalog.find(inside)
            if file is not None:
                return file
        file = self.catalog.find(os.fsencode(path))
        if file is not None and os.path.isfile(full) and not self._is_at(file, full):  # noqa: PTH113
            return None
        return file

    def _is_at(self, file: File, path: bytes) -> bool:
        """Whether a path leads to a file of the album."""
        with contextlib.suppress(OSError):
            return os.path.samefile(path, self._path_of(file))  # noqa: PTH121
        return False

    def _path_of(self, file: File) -> Path:
        return self.path / shown(file.name.path)


def _ways_inside(path: bytes, root: Path) -> Iterator[bytes]:
    """A full path by that in a folder, if it leads into it: as it is written, and as links lead."""
    folder, name = os.path.split(path)
    for full, top in (
        (path, os.path.abspath(root)),  # noqa: PTH100
        (os.path.join(os.path.realpath(folder), name), os.path.realpath(root)),  # noqa: PTH118
    ):
        above = os.path.join(os.fsencode(top), b"")  # noqa: PTH118
        if full.startswith(above):
            yield full[len(above) :]


def is_album(home: Path) -> bool:
    """Whether a folder holds the own files of an album."""
    return (home / "catalog.sqlite").is_file()


_Stored = tuple[dict[str, npt.NDArray[Any]], list[str]]


def _stored(contents: Sequence[int], indexes: Mapping[str, Index]) -> list[_Stored]:
    """The vectors of members, and what is to be said of encoders that have none of one."""
    stored: list[_Stored] = [({}, []) for _ in contents]
    for name, index in indexes.items():
        for (vectors, notes), own in zip(stored, _vectors_of(contents, index), strict=True):
            if own is None:
                notes.append(_SEES_TOO_LITTLE.format(name))
            else:
                vectors[name] = own
    return stored


def _vectors_of(contents: Sequence[int], index: Index) -> list[npt.NDArray[Any] | None]:
    """The vector of each member, of shape (1, d); None where there is none."""
    try:
        return list(index.vectors(contents)[:, np.newaxis])
    except InvalidInput:  # of one of them
        if len(contents) == 1:
            return [None]
        return [own for content in contents for own in _vectors_of([content], index)]


def _encoded(encoder: Encoder, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any] | None:
    """The vector of one picture; None where the encoder sees too little."""
    encoded = encoder.encode([pixels])
    vector: npt.NDArray[Any] = encoded.vectors[0]
    return vector if encoded.usable[0] else None


def _checked_specs(encoders: Sequence[str]) -> tuple[str, ...]:
    if isinstance(encoders, str) or not encoders or len(set(encoders)) != len(encoders):
        raise InvalidInput(
            f"encoders must be names, each once, and one at the least; got {encoders!r}. Pass for "
            'example ("pdq", "phash").'
        )
    return tuple(map(str, encoders))


def _text_of(encoder: Encoder) -> str:
    """What makes the vectors, as an index remembers it."""
    return json.dumps(identity(encoder), sort_keys=True)


def _check_made_by(index: Index, encoder: Encoder, home: Path) -> None:
    """Refuse to mix vectors of two encoders, or of two versions of one."""
    if index.encoder != _text_of(encoder):
        raise InvalidInput(
            f"the album at {home} must be used with the encoder that made its index, "
            f"{index.encoder}; got {_text_of(encoder)}. Use that one, or remove the folder of the "
            "index and sync again."
        )
