import pytest, time, json
from datetime import datetime, UTC, timedelta
from taskyard.wire.link import ItemKind
from tests.control.agent_kit import item, raw, user, turn_end
from tests.control.test_observe import state, asks, answers, report, quiet, permissions, observation
from tests.control.world_kit import World
pytestmark = pytest.mark.anyio
def ask_at(seq, at, id="p", **kw):
    return item(seq, ItemKind.PERMISSION_REQUEST, id=id, title="x", options=[{"option_id":"a","name":"b","kind":"c"}], expires_at=at, **kw)

@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00","9999-12-31T23:59:59-14:00","0001-01-01T00:00:00Z", "2026-01-01T00:00:00"])
async def test_expires(world: World, at: str) -> None:
    place = await quiet(world)
    await place.store(ask_at(1, at))
    got = await permissions(place)
    print(got)
    from taskyard.control.task_permissions import permission_view
    import msgspec
    print([msgspec.json.encode(permission_view(r)) for r in got])

@pytest.mark.parametrize("kind", ["state","asks","mixed","report","user"])
async def test_perf(world: World, kind: str) -> None:
    place = await quiet(world)
    n=5000
    make={"state":lambda i: state(i,"idle" if i%2 else "working"),"asks":lambda i: asks(i,f"p{i}"),"mixed":lambda i: asks(i,f"p{i}") if i%2 else state(i,"idle"),"report":lambda i: report(i,"x"),"user":lambda i:user(i,"x")}[kind]
    items=[make(i) for i in range(1,n+1)]
    s=time.monotonic(); c=time.process_time()
    await place.store(*items)
    print(kind, time.monotonic()-s, time.process_time()-c)

async def test_hostile(world: World) -> None:
    place = await quiet(world)
    bad = [
     raw(1, ItemKind.STATE, '{"state":"waiting","waiting":{"kind":"\\u0000","id":"\\u0000","title":"\\ud800"}}'),
     raw(2, ItemKind.STATE, '{"state":"waiting","waiting":{"kind":"a\\u0000","id":"\\u0000","title":"\\u0000"},"session":"\\u0000\\u001b","reason":"\\u0000"}'),
     raw(3, ItemKind.PERMISSION_REQUEST, '{"id":"x","title":"\\u0000","options":[{"option_id":"a\\u0000"},{"option_id":"b","name":"\\u0000","kind":"\\u0000"}]}'),
     raw(4, ItemKind.PERMISSION_RESPONSE, '{"id":"x","option_id":"zz","by":"person","name":"\\u0000root"}'),
     raw(5, ItemKind.PERMISSION_RESPONSE, '{"id":"x","option_id":"zz","by":"cancel","name":5}'),
     raw(6, ItemKind.REPORT, '{"summary":"\\u0000\\u001b]0;x","link":"https://a/\\u0000","outcome":"complete"}'),
     raw(7, ItemKind.REPORT, '{"summary":'+'['*500+']'*500+'}'),
     raw(8, ItemKind.TURN_END, '{"reason":"\\u0000","error":"\\u0000"}'),
     raw(9, ItemKind.PERMISSION_REQUEST, '{"id":"x2","options":'+json.dumps([{"option_id":f"o{i}","name":"n"*5000} for i in range(3000)])+'}'),
    ]
    for b in bad: await place.store(b)
    print(await permissions(place)); print(await observation(place))
