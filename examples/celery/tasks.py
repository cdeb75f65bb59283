"""Two tasks, and a schedule for one of them."""

from __future__ import annotations

import time

import folder
from celery import Celery
from celery.utils.log import get_task_logger

QUEUE = "/queue"

log = get_task_logger(__name__)
app = Celery("tasks", broker=folder.URL)
app.conf.update(
    # Each message is a file in this folder; the worker looks into it five times a second.
    broker_transport_options={
        "data_folder_in": QUEUE,
        "data_folder_out": QUEUE,
        "control_folder": QUEUE,
        "polling_interval": 0.2,
    },
    # A message is acknowledged when its task is done, and the worker takes no more of them than it
    # has processes: what it has not begun when it is told to stop stays in the queue.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    # In seconds; together with what Celery itself needs to stop, less than initpy's 9.
    task_soft_time_limit=4,
    task_time_limit=5,
    task_ignore_result=True,  # the log shows what a task returns
    beat_schedule={"every second": {"task": "tasks.tick", "schedule": 1.0}},
)


@app.task
def tick() -> str:
    """What beat asks for."""
    return time.strftime("it is %H:%M:%S")


@app.task
def slow(seconds: float) -> str:
    """Work that takes its time."""
    log.info("slow: %g seconds to go", seconds)
    time.sleep(seconds)
    return "done"
