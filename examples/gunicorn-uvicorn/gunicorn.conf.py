"""gunicorn in a container, as root or as any other user, on a read-only root."""

import os

bind = ":8080"  # above 1024: for any user
worker_class = "uvicorn_worker.UvicornWorker"
workers = 2

# On TERM, what the workers have to finish their requests. Not longer than initpy waits.
graceful_timeout = 7

# Each worker touches a file, to show that it lives: in memory, so that no disk can make it wait.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn makes it a file without a name
control_socket_disable = True  # initpy starts and stops it; its socket wants a writable home

accesslog = "-"

# Without this, a root gunicorn serves requests as root. Any other user cannot become another.
if os.geteuid() == 0:
    user = group = "www-data"
