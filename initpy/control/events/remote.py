"""sendRemoteCommEvent: events from clients."""

from __future__ import annotations

from initpy.control.events.payloads import remote_communication
from initpy.control.methods import Method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from initpy.control.events.payloads import Event


def remote_methods(post: Callable[[Event], None]) -> tuple[Method, ...]:
    """The methods of supervisor.* for events; as in supervisord, also when the whole is being
    stopped. `post` takes an event."""

    def send(kind: str, text: str) -> bool:
        post(remote_communication(kind, text))
        return True

    help_text = "Tells the event listeners of REMOTE_COMMUNICATION; takes a type and the data."
    signature = ("boolean", "string", "string")
    return (Method("supervisor.sendRemoteCommEvent", signature, help_text, send),)
