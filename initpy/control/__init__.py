"""Floor 3: the control helper: it answers the clients of supervisord's API, and our own."""
