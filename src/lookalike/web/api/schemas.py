"""What bodies look like: read by those who call, checked by tests, and no work for the server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "ID_PATTERN",
    "ActBody",
    "ActFactsBody",
    "Body",
    "CollectionBody",
    "ComparisonBody",
    "DecisionBody",
    "DeedBody",
    "ExactBody",
    "FileBody",
    "FoundBody",
    "HitBody",
    "Id",
    "JournalBody",
    "JudgementBody",
    "MeasuredBody",
    "MovingBody",
    "NearBody",
    "PictureBody",
    "PicturesBody",
    "PlanBody",
    "ProblemBody",
    "SearchedBody",
    "SearchesBody",
    "StepBody",
    "SyncBody",
    "TroubleBody",
    "UnreadableBody",
    "VectorBody",
]

ID_PATTERN = "^[0-7][0-9a-f]{15}$"  # 63 bits
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
_LONGEST_VECTOR = 65_536
_LONGEST_NAME = 1_000


class Body(BaseModel):
    """What is sent to us: nothing that we do not know."""

    model_config = ConfigDict(extra="forbid")


class VectorBody(Body):
    """A search for a vector."""

    encoder: str = Field(max_length=_LONGEST_NAME)
    vector: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(
        min_length=1,
        max_length=_LONGEST_VECTOR,
        description="One number for each dimension; of bits, one byte for eight of them.",
    )
    k: int = Field(24, ge=1, strict=True)
    recall: float | None = Field(None, gt=0, le=1)


class DecisionBody(Body):
    """A decision: of a group of duplicates, or of pictures that are none."""

    kind: Literal["keep", "not_duplicates"]
    group: str | None = Field(None, max_length=16, description="Id of a group.")
    level: Literal["exact", "near", "similar"] = Field("near", description="Of that group.")
    pictures: list[Id] | None = Field(None, min_length=2, max_length=300)


class PlanBody(Body):
    """Which suggestions are to be followed."""

    level: Literal["exact", "near", "similar"] = "near"
    folder: str | None = Field(None, max_length=4_096, description="Groups with a file in it.")
    groups: list[Annotated[str, Field(max_length=16)]] | None = Field(
        None, max_length=10_000, description="Only these."
    )
    keepers: dict[str, str] = Field(
        default_factory=dict,
        max_length=10_000,
        description="By the id of a group: the id of the file that stays. Of others, the one that "
        "was chosen on the page, or is suggested.",
    )


class ProblemBody(BaseModel):
    """A problem, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request: str = Field(description="The id of the request, also in the header X-Request-ID.")
    errors: list[dict[str, str]] | None = None


class CollectionBody(BaseModel):
    """What is served."""

    kind: Literal["album", "digits"]
    title: str
    pictures: int
    encoders: list[str]


class FileBody(BaseModel):
    """A file of the album; in hexadecimal as well where its name is not UTF-8."""

    path: str
    path_hex: str | None = None


class PictureBody(BaseModel):
    """A picture."""

    id: Id
    title: str
    files: list[FileBody]
    width: int | None
    height: int | None
    size_bytes: int | None
    format: str | None
    taken: str | None
    label: str | None


class PicturesBody(BaseModel):
    """Some pictures."""

    pictures: list[PictureBody]
    first: int
    total: int


class HitBody(BaseModel):
    """A picture that was found."""

    picture: PictureBody
    distance: float
    encoder: str
    nearness: float | None
    orientation: str
    why: str


class FoundBody(BaseModel):
    """The answer of a search, the nearest first."""

    hits: list[HitBody]
    notes: list[str]
    microseconds: float


class StepBody(BaseModel):
    """One step of a search."""

    name: str
    does: str
    left: int
    microseconds: float


class NearBody(BaseModel):
    """An id and its distance."""

    id: Id
    distance: float


class ExactBody(BaseModel):
    """A comparison with every vector."""

    microseconds: float
    ids: list[Id]


class SearchedBody(BaseModel):
    """How one index was searched."""

    encoder: str
    metric: str
    plan: str
    size: int
    steps: list[StepBody]
    hits: list[NearBody]
    exact: ExactBody
    recall: float
    promised: float | None
    similar: float


class SearchesBody(BaseModel):
    """How all indexes were searched."""

    searches: list[SearchedBody]


class JudgementBody(BaseModel):
    """What one encoder says of two pictures."""

    encoder: str
    distance: float | None
    near: float
    similar: float
    says: str
    why: str
    miss: str


class ComparisonBody(BaseModel):
    """What is known of two pictures."""

    one: Id
    other: Id
    level: Literal["exact", "near", "similar", "different"]
    same_bytes: bool
    decided: str | None
    encoders: list[JudgementBody]


class MeasuredBody(BaseModel):
    """Recall, measured; the mean of all such queries is from low to high with 95 % confidence."""

    encoder: str
    recall: float
    low: float
    high: float
    k: int
    queries: int
    held_out: bool


class TroubleBody(FileBody):
    """A file that could not be read."""

    reason: str


class UnreadableBody(BaseModel):
    """Some files that could not be read."""

    files: list[TroubleBody]
    first: int
    total: int


class MovingBody(BaseModel):
    """How far files are moved."""

    version: int
    phase: Literal["idle", "checking", "moving", "restoring"]
    done: int
    total: int
    bytes: int
    total_bytes: int
    seconds: float
    ending: bool = Field(description="It was asked to end before the next file.")
    ended: Literal["well", "cancelled", "badly"] | None


class ActFactsBody(BaseModel):
    """An act, in figures."""

    act: int
    begun: str
    how: Literal["trash", "folder"]
    files: int = Field(description="That were moved.")
    bytes: int
    away: int = Field(description="Of these, what can be brought back.")
    undone: int
    failed: int
    can_be_undone: bool


class JournalBody(BaseModel):
    """Some acts, the last first."""

    acts: list[ActFactsBody]
    first: int
    total: int


class DeedBody(FileBody):
    """What was done to a file."""

    keeper: FileBody
    size: int
    reason: str
    state: Literal["begun", "done", "undoing", "undone", "failed"]


class ActBody(ActFactsBody):
    """An act, with some of its files."""

    deeds: list[DeedBody]
    first: int


class SyncBody(BaseModel):
    """How far a sync is."""

    version: int
    phase: Literal["idle", "looking", "reading"]
    run: int
    looked: int
    read: int
    to_read: int | None
    seconds: float
    rate: float | None
    eta_s: float | None
    ended: Literal["well", "cancelled", "badly"] | None
    error: str | None
    report: dict[str, Any] | None
