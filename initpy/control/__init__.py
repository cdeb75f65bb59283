"""Floor 3: what the clients of supervisord's API are answered. So far the half of it that reads."""
