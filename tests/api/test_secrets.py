"""Secrets over the API: who may set whose, and that no value ever comes back."""

import json

import pytest

from taskyard.control.vault import Place
from taskyard.db.secrets import SealedRow
from taskyard.lifecycle.secret_names import MAX_OWNED, MAX_OWNED_BYTES, SecretOwner
from tests.api.seed import Api, Json, Person, SeededTemplate, fields, reason

pytestmark = pytest.mark.anyio

MINE = "/api/v2/users/me/secrets"
VALUE = "nobody-reads-this-again"


async def put(api: Api, path: str, name: str = "KEY", *, by: Person | None = None) -> int:
    """The status of setting a secret there."""
    answer = await api.call("PUT", f"{path}/{name}", {"value": VALUE}, by=by)
    assert VALUE not in answer.text
    return answer.status_code


async def names(api: Api, path: str, *, by: Person | None = None) -> Json:
    """The names that are listed there, or the status of a refusal."""
    answer = await api.get(path, by=by)
    assert VALUE not in answer.text
    if answer.status_code != 200:
        return answer.status_code
    return [secret["name"] for secret in answer.json()]


async def test_a_value_goes_in_and_never_comes_out(api: Api) -> None:
    """Set, set anew, listed by name and deleted: no answer and no row of the audit has the value."""
    assert await put(api, MINE) == 200
    first = (await api.get(MINE)).json()
    assert await put(api, MINE) == 200
    [again] = (await api.get(MINE)).json()
    assert again["id"] == first[0]["id"]
    assert again["updated_at"] > again["created_at"] == first[0]["created_at"]
    assert again.keys() == {"id", "name", "created_at", "updated_at"}
    gone = await api.call("DELETE", f"{MINE}/KEY")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await api.call("DELETE", f"{MINE}/KEY")).status_code == 404
    assert await names(api, MINE) == []
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_name, changes::text as changes from audit_logs"
            " where resource_type = 'secret' order by at"
        )
    assert [row["action"] for row in rows] == ["create", "write", "delete"]
    assert {row["resource_name"] for row in rows} == {"user boss: KEY"}
    assert VALUE not in str(rows)


async def test_what_is_stored_opens_in_its_place_only(api: Api) -> None:
    """The row of a secret belongs to its owner: copied to another's name, it stays shut."""
    other = await api.person("other")
    await put(api, MINE)
    async with api.services.db.connection() as conn:
        row = await conn.fetchrow("select * from secrets")
    assert row is not None
    sealed = SealedRow(
        name="KEY",
        owner=SecretOwner.USER,
        owner_id=api.owner.id,
        scheme=row["scheme"],
        key_id=row["key_id"],
        nonce=row["nonce"],
        sealed=row["sealed"],
    )
    assert api.services.vault.open(sealed) == VALUE
    assert Place(SecretOwner.USER, other.id, "KEY").associated(1) != Place(
        SecretOwner.USER, api.owner.id, "KEY"
    ).associated(1)


async def people(api: Api, template: SeededTemplate) -> dict[str, Person]:
    """One of each kind."""
    organization = template.organization_id
    return {
        "owner": api.owner,
        "admin": await api.person("admin", organization_roles=("organization-admin",)),
        "writer": await api.person("writer", "template-admin"),
        "keeper": await api.person("keeper", "user-admin"),
        "member": await api.person("member", organization=organization),
        "stranger": await api.person("stranger", organization=await api.organization("far")),
    }


async def test_who_may_set_whose(api: Api) -> None:
    """One's own, an organization's as its admin, a template's as who may change it; an owner sets no user's."""
    template = await api.template()
    found = await people(api, template)
    paths = {
        "user": "/api/v2/users/member/secrets",
        "organization": f"/api/v2/organizations/{api.organization_id}/secrets",
        "template": f"/api/v2/templates/{template.id}/secrets",
    }
    expected = {
        "user": {"owner": 403, "admin": 403, "writer": 404, "keeper": 403, "member": 200},
        "organization": {"owner": 200, "admin": 200, "writer": 403, "keeper": 403, "member": 403},
        "template": {"owner": 200, "admin": 200, "writer": 200, "keeper": 403, "member": 403},
    }
    for kind, path in paths.items():
        await put(api, path, by=found["member" if kind == "user" else "owner"])
        for who, status in (expected[kind] | {"stranger": 404}).items():
            assert await put(api, path, by=found[who]) == status, (kind, who)
            answer = await api.call("DELETE", f"{path}/NOTHING", by=found[who])
            assert answer.status_code == (404 if status == 200 else status), (kind, who)
            listed = await names(api, path, by=found[who])
            seen = status == 200 or (kind, who) == ("user", "owner")
            assert listed == (["KEY"] if seen else status), (kind, who)
        deleted = await api.call(
            "DELETE", f"{path}/KEY", by=found["member" if kind == "user" else "admin"]
        )
        assert deleted.status_code == 204, kind


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("PATH", "x", "name"),
        ("TASKYARD_X", "x", "name"),
        ("LD_PRELOAD", "x", "name"),
        ("A-B", "x", "name"),
        ("KEY", "", "value"),
        ("KEY", "x" * (64 * 1024 + 1), "value"),
    ],
)
async def test_a_secret_that_cannot_be_had(api: Api, name: str, value: str, field: str) -> None:
    """What would change a workspace, or fits into no environment, is refused with the reason."""
    answer = await api.call("PUT", f"{MINE}/{name}", {"value": value})
    assert (answer.status_code, fields(answer)) == (400, {field})
    assert await names(api, MINE) == []


async def test_there_is_an_end_to_them(api: Api) -> None:
    """So many secrets and bytes of one owner, since a workspace gets them in one message; others have their own."""
    large = {"value": "x" * (MAX_OWNED_BYTES // 2)}
    for name in ("A", "B"):
        assert (await api.call("PUT", f"{MINE}/{name}", large)).status_code == 200
    full = await api.call("PUT", f"{MINE}/C", {"value": "y"})
    assert reason(full) == (409, "secrets_full")
    assert (await api.call("PUT", f"{MINE}/A", {"value": "y"})).status_code == 200
    await api.execute(
        "insert into secrets select gen_random_uuid(), null, null, $1, 'K' || n, 1, 'k', $2, $3, now(), now()"
        " from generate_series(1, $4) n",
        api.owner.id,
        bytes(12),
        bytes(17),
        MAX_OWNED - 2,
    )
    assert reason(await api.call("PUT", f"{MINE}/C", {"value": "y"})) == (409, "secrets_full")
    assert await put(api, f"/api/v2/organizations/{api.organization_id}/secrets") == 200


async def test_secrets_go_with_their_owner(api: Api) -> None:
    """A user or a template that is deleted leaves none behind."""
    leaver = await api.person("leaver")
    template = await api.template()
    await put(api, MINE, by=leaver)
    await put(api, f"/api/v2/templates/{template.id}/secrets")
    assert (await api.call("DELETE", "/api/v2/users/leaver")).status_code == 200
    assert (await api.call("DELETE", f"/api/v2/templates/{template.id}")).status_code == 200
    assert await api.value("select count(*) from secrets") == 0


async def test_without_its_key_a_server_says_which_file(api: Api) -> None:
    """A key that is gone is an error that names it, not a secret that is lost later."""
    path = api.services.vault.path
    assert path is not None
    path.unlink()
    answer = await api.call("PUT", f"{MINE}/KEY", {"value": VALUE})
    assert reason(answer) == (500, "secret_key")
    assert str(path) in json.loads(answer.text)["message"]
