"""When a repaired world is at rest: nothing waits, nobody has anything left to tell."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World

UNSETTLED = "SELECT id, state FROM message WHERE state IN ('queued', 'scheduled', 'sending')"


def what_is_left(world: "World") -> list[str]:
    """What keeps the world from rest."""
    left = [f"{message_id} is {state}" for message_id, state in world.database.query(UNSETTLED)]
    if not world.clients.are_answered() or not world.clients.is_idle():
        left.append("a client waits")
    if world.radio.has_news():
        left.append("the network has news")
    told_all = (one.has_told_everything() for one in world.instances if one.is_running())
    if not all(told_all):
        left.append("a driver has facts")
    return left
