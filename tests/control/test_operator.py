"""What whoever has the machine may do: make owners, give passwords anew."""

import pytest

from taskyard.control import operator
from taskyard.control.identity import has_first_user
from taskyard.control.services import Services
from taskyard.db import identity as db
from taskyard.errors import Invalid, NotFound, RequestRefused, UserExists
from taskyard.wire.enums import UserStatus
from taskyard.wire.identity import CreateFirstUserRequest

pytestmark = pytest.mark.anyio

ADA = CreateFirstUserRequest(username="ada", email="ada@example.com", password="a long enough one")
EVE = CreateFirstUserRequest(username="eve", email="eve@example.com", password="a long enough one")


async def values(services: Services, sql: str) -> list[object]:
    """The first column of a query."""
    async with services.db.connection() as conn:
        return [row[0] for row in await conn.fetch(sql)]


async def test_the_first_owner_and_more(services: Services) -> None:
    """The first one makes the organization, too; each stands in the audit; a name is taken once."""
    await operator.create_admin(services, ADA, services.now())
    assert await has_first_user(services)
    await operator.create_admin(services, EVE, services.now())
    assert await values(
        services, "select username from users where roles = '{owner}' order by 1"
    ) == ["ada", "eve"]
    assert await values(services, "select count(*) from organization_members") == [2]
    told = await values(
        services, "select resource_name from audit_logs where action = 'create' order by 1"
    )
    assert told == ["ada", "eve"]
    with pytest.raises(UserExists):
        await operator.create_admin(services, EVE, services.now())


async def test_an_owner_who_cannot_be(services: Services) -> None:
    """The rules for names, addresses and passwords are those of everybody."""
    await operator.create_admin(services, ADA, services.now())
    for field, bad in (("username", "a b"), ("email", "nobody"), ("password", "short")):
        fields = {
            "username": "eve",
            "email": "eve@example.com",
            "password": "a long enough one",
            field: bad,
        }
        with pytest.raises(Invalid) as refused:
            await operator.create_admin(services, CreateFirstUserRequest(**fields), services.now())
        assert [name for name, _ in refused.value.violations] == [field]


async def test_a_new_password(services: Services) -> None:
    """By name or email; sessions end, a suspended user is let in, and the audit says so without the password."""
    await operator.create_admin(services, ADA, services.now())
    async with services.db.transaction() as conn:
        await conn.execute("update users set status = 'suspended'")
    before = await values(services, "select password_hash from users")
    user = await operator.reset_password(
        services, "ada@example.com", "another long one", services.now()
    )
    assert user.status is UserStatus.ACTIVE
    async with services.db.connection() as conn:
        after = await db.get_user_by_username_as_system(conn, "ada")
    assert after is not None
    assert after.status is UserStatus.ACTIVE
    assert [after.password_hash] != before
    [told] = await values(services, "select changes::text from audit_logs where action = 'write'")
    assert "hidden" in str(told)
    with pytest.raises(NotFound):
        await operator.reset_password(services, "nobody", "another long one", services.now())
    with pytest.raises(Invalid):
        await operator.reset_password(services, "ada", "short", services.now())


async def test_a_user_without_passwords(services: Services) -> None:
    """Who only holds tokens goes on doing so."""
    await operator.create_admin(services, ADA, services.now())
    async with services.db.transaction() as conn:
        await conn.execute("update users set login_type = 'none', password_hash = null")
    with pytest.raises(RequestRefused):
        await operator.reset_password(services, "ada", "another long one", services.now())
