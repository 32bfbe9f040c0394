"""Routes: duplicates, what is decided about them, and plans that move files to the trash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from starlette.responses import Response

from lookalike.album.deeds import Deed
from lookalike.album.group import DuplicateGroup
from lookalike.album.matches import path_dict
from lookalike.album.plan import Plan
from lookalike.album.verdicts import flags, verdicts
from lookalike.errors import InvalidInput
from lookalike.web.api.asked import asked_count, asked_first
from lookalike.web.api.schemas import ActBody, DecisionBody, JournalBody, MovingBody, PlanBody
from lookalike.web.bodies import json_response
from lookalike.web.collection import text_of
from lookalike.web.keepers import file_id
from lookalike.web.problems import without_paths
from lookalike.web.site import Site

__all__ = ["add"]

Level = Literal["exact", "near", "similar"]
PlanId = Annotated[str, InPath(max_length=40)]
_LONGEST_PATH = 4_096
_PLANNED = 50  # files of a plan that are told when it is made


def add(router: APIRouter, site: Site, hidden: Sequence[str]) -> None:
    """Add these routes."""
    work = site.work

    @router.get("/duplicates")
    async def duplicates(
        level: Level = "near",
        folder: str | None = Query(None, max_length=_LONGEST_PATH),
        first: int = asked_first(),
        count: int = asked_count(site.limits.page),
    ) -> Response:
        """Groups of pictures that are the same, or made of each other."""
        own = await work.run(
            site.review.groups, level, folder=folder or None, first=first, count=count
        )
        return json_response(
            {
                "level": level,
                "groups": [_group_body(*group) for group in own.groups.items()],
                "first": first,
                "total": own.total,
                "files": own.files,
                "may_go": own.may_go,
                "freed_bytes": own.freed_bytes,
            }
        )

    @router.get("/decisions")
    async def decisions() -> Response:
        """What was decided about pictures."""
        found = await work.run(site.review.decisions)
        return json_response({"decisions": [own.to_dict() for own in found]})

    @router.post("/decisions", status_code=201)
    async def decide(body: DecisionBody) -> Response:
        """Remember that a group stays as it is, or that pictures are no duplicates."""
        review = site.review
        if (body.group is None) == (body.pictures is None):
            raise InvalidInput(
                "a decision must name a group, or pictures; got both or neither. Name one of them."
            )
        if body.pictures is not None and body.kind == "keep":
            raise InvalidInput(
                "pictures that are kept must be named by their group; got a list of pictures. "
                "Name the group."
            )
        if body.pictures is not None:
            made = await work.run(review.apart, body.pictures)
        elif body.kind == "keep":
            made = [await work.run(review.keep, body.group or "", body.level)]
        else:
            made = await work.run(review.not_duplicates, body.group or "", body.level)
        return json_response({"decided": len(made)}, 201)

    @router.delete("/decisions/last")
    async def forget() -> Response:
        """Take the last decision back that was made through this server."""
        return json_response({"forgotten": len(await work.run(site.review.forget_last))})

    @router.post("/plans", status_code=201)
    async def plan(body: PlanBody) -> Response:
        """Make a plan of what is suggested, and show its first page. Nothing is touched."""
        made = await work.run(
            site.review.plan,
            body.level,
            folder=body.folder or None,
            groups=body.groups,
            keepers=body.keepers,
        )
        return json_response(
            _plan_body(made.id, made.plan, 0, min(_PLANNED, site.limits.page)), 201
        )

    @router.get("/plans/{plan}")
    async def planned(
        plan: PlanId, first: int = asked_first(), count: int = asked_count(site.limits.page)
    ) -> Response:
        """A plan: how much goes, and some of the files with what stays in their place."""
        return json_response(_plan_body(plan, site.review.planned(plan), first, count))

    @router.post("/plans/{plan}/apply")
    async def apply(
        plan: PlanId,
        dry_run: bool = Query(True, description="Only check."),
    ) -> Response:
        """Check a plan; with ``dry_run=false`` move its files to the trash.

        The answer comes when all is done: ``/moving`` says how far it is until then, and cancels.
        """
        applied = (await work.finish(site.review.apply, plan, dry_run=dry_run)).to_dict()
        for own in applied["refused"]:
            own["why"] = without_paths(own["why"], hidden)
        del applied["settled"]  # with places on this machine
        return json_response(applied)

    @router.post("/undo")
    async def undo(
        act: int | None = Query(None, ge=1, le=2**53, description="The last unless given."),
        dry_run: bool = Query(False, description="Only check."),
    ) -> Response:
        """Bring the files of an act back to where they were."""
        undone = await work.finish(site.review.undo, act, dry_run=dry_run)
        return json_response(
            {
                "dry_run": undone.dry_run,
                "act": undone.act,
                "restored": [path_dict(own.path) for own in undone.restored],
                "refused": [
                    path_dict(own.deed.path) | {"why": without_paths(own.why, hidden)}
                    for own in undone.refused
                ],
            }
        )

    @router.get("/moving", response_model=MovingBody)
    async def moving() -> Response:
        """How far a plan is followed or checked, or an act undone; how the last has ended."""
        return json_response(site.review.moving.state().to_dict())

    @router.delete("/moving", status_code=202, response_model=MovingBody)
    async def cancel_moving() -> Response:
        """Ask it to end before the next file. What was moved stays moved, and can be undone."""
        return json_response(site.review.moving.cancel().to_dict(), 202)

    @router.get("/journal", response_model=JournalBody)
    async def journal(
        first: int = asked_first(), count: int = asked_count(site.limits.page)
    ) -> Response:
        """What was done to files, in figures: some acts, the last first."""
        acts, total = await work.run(site.review.journal, first, count)
        return json_response(
            {"acts": [own.to_dict() for own in acts], "first": first, "total": total}
        )

    @router.get("/journal/{act}", response_model=ActBody)
    async def act(
        act: Annotated[int, InPath(ge=1, le=2**53)],
        first: int = asked_first(),
        count: int = asked_count(site.limits.page),
    ) -> Response:
        """An act: its figures, and some of its files."""
        facts, deeds = await work.run(site.review.act, act, first, count)
        return json_response(
            facts.to_dict() | {"deeds": [_deed_body(own) for own in deeds], "first": first}
        )


def _group_body(id: str, group: DuplicateGroup) -> dict[str, Any]:
    """A group, its members in the order in which they are shown."""
    members = [
        {
            **path_dict(member.path),
            "file": file_id(member),
            "picture": text_of(member.content.id),
            "width": member.content.width,
            "height": member.content.height,
            "size_bytes": member.content.size,
            "taken": member.content.taken,
            "verdict": str(verdict),
            "link": None if member.link is None else member.link.to_dict(),
            "is_new": member.is_new,
        }
        for member, verdict in verdicts(group)
    ]
    weakest = group.weakest_link
    return {
        "group": id,
        "keeper": file_id(group.keeper),
        "why": group.why,
        "freed_bytes": group.freed_bytes,
        "flags": flags(group),
        "weakest_link": None if weakest is None else weakest.to_dict(),
        "members": members,
    }


def _plan_body(id: str, plan: Plan, first: int, count: int) -> dict[str, Any]:
    """Some of a plan, without the place of the album on this machine."""
    return {
        "plan": id,
        "made": plan.made,
        "total": len(plan.removals),
        "freed_bytes": plan.freed_bytes,
        "first": first,
        "removals": [own.to_dict() for own in plan.removals[first : first + count]],
    }


def _deed_body(deed: Deed) -> dict[str, Any]:
    """What was done to a file, without the place where it went."""
    return path_dict(deed.path) | {
        "keeper": path_dict(deed.keeper),
        "size": deed.size,
        "reason": deed.reason,
        "state": deed.state,
    }
