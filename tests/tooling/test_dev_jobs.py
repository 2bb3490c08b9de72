from fastapi import FastAPI
from httpx2 import AsyncClient
from pgqueuer.models import TracebackRecord
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.jobs import queue_of
from tests.tooling.dev_pages import ESCAPED, HOSTILE, check_page


async def test_counts_and_errors(
    app: FastAPI, pages: FastAPI, session: AsyncSession, browser: AsyncClient
) -> None:
    queue = queue_of(session)
    (job_id, _) = await queue.enqueue(["send_report"] * 2, [None] * 2, [0] * 2)
    row = await queue.queue_job_by_id(job_id)
    assert row
    error = TracebackRecord.from_exception(ValueError(HOSTILE), job_id)
    await queue.log_jobs([(row, "failed", error)])
    await session.commit()
    pages.state.session_factory = app.state.session_factory

    page = await browser.get("/")

    check_page(page)
    assert "<dt>waiting</dt><dd>1</dd>" in page.text
    assert '<dt>failed</dt><dd class="bad">1</dd>' in page.text
    assert f"ValueError: {ESCAPED}" in page.text
    assert f"jobs retry {job_id}" in page.text


async def test_database_is_unavailable(browser: AsyncClient) -> None:
    assert "The database does not answer." in (await browser.get("/")).text
