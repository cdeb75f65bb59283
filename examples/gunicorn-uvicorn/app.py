"""A small FastAPI application, to see what becomes of requests."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Annotated

from fastapi import FastAPI, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger("gunicorn.error")
app = FastAPI(default_response_class=PlainTextResponse)


@app.get("/")
async def greeting() -> str:
    return "Hello from FastAPI, under gunicorn, under initpy.\n"


@app.get("/pid")
async def pid() -> str:
    """Who answers."""
    return f"{os.getpid()}\n"


@app.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=60)] = 1) -> StreamingResponse:
    """Half of an answer now, half in so many seconds; its length says if all of it has arrived."""
    halves = [b"begun\n", b"done\n"]

    async def body() -> AsyncIterator[bytes]:
        yield halves[0]
        log.info("slow: %g seconds to go", seconds)
        await asyncio.sleep(seconds)
        yield halves[1]

    length = str(sum(map(len, halves)))
    return StreamingResponse(body(), media_type="text/plain", headers={"Content-Length": length})
