"""Both clients against a real server: what goes in comes out, and refusals are what they should be."""

from typing import Any
from uuid import uuid4

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import JobStatus, UserStatus
from taskyard.wire.identity import CreateTokenRequest, CreateUserRequest
from taskyard.wire.templates import CreateTemplateVersionRequest
from tests.archives import tar_of
from tests.sdk.conftest import Ask
from tests.sdk.yard_kit import EMAIL, OWNER, Yard
from tests.waiting import until


def test_who_asks(ask: Ask, yard: Yard) -> None:
    """The owner of a new server is found by `me`, by name and by id."""
    me = ask(lambda c: c.get_user("me"), yard.url, yard.token)
    assert (me.username, me.email, me.status) == (OWNER, EMAIL, UserStatus.ACTIVE)
    for user in (me.id, OWNER):
        assert ask(lambda c, u=user: c.get_user(u), yard.url, yard.token) == me


def test_a_server_says_what_it_is(ask: Ask, yard: Yard) -> None:
    """What needs no token is answered without one."""
    assert ask(lambda c: c.health(), yard.url) == b"OK"
    assert ask(lambda c: c.get_build_info(), yard.url).version.startswith("v2.")
    assert ask(lambda c: c.get_first_user(), yard.url).message
    assert ask(lambda c: c.get_openapi(), yard.url)["paths"]
    assert ask(lambda c: c.list_experiments(), yard.url, yard.token) == []


def test_keys_live_and_die(ask: Ask, yard: Yard) -> None:
    """A token works, is listed without its secret, is found by name, and is dead once deleted."""

    def call(do: Any, token: str = yard.token) -> Any:
        return ask(do, yard.url, token)

    name = f"k-{uuid4().hex[:8]}"
    key = call(lambda c: c.create_token("me", CreateTokenRequest(token_name=name))).key
    assert call(lambda c: c.get_user("me"), key).username == OWNER
    found = call(lambda c: c.get_token("me", name))
    listed = call(lambda c: c.list_tokens("me", include_all=True, include_expired=True))
    assert key.startswith(found.id)
    assert [k.username for k in listed if k.id == found.id] == [OWNER]
    with pytest.raises(ApiError) as taken:
        call(lambda c: c.create_token("me", CreateTokenRequest(token_name=name)))
    assert (taken.value.status, taken.value.validations[0][0]) == (409, "name")
    call(lambda c: c.delete_key("me", found.id))
    with pytest.raises(ApiError) as dead:
        call(lambda c: c.get_user("me"), key)
    assert dead.value.status == 401
    assert dead.value.server_version.startswith("v2.")


def test_users_by_pages(ask: Ask, yard: Yard) -> None:
    """A search and a page narrow a list; the count is that of all that fit."""
    word = uuid4().hex[:8]
    for number in range(3):
        request = CreateUserRequest(
            username=f"u{number}-{word}", email=f"u{number}@{word}.example", login_type="none"
        )
        ask(lambda c, r=request: c.create_user(r), yard.url, yard.token)
    page = ask(lambda c: c.list_users(word, limit=2, offset=1), yard.url, yard.token)
    assert page.count == 3
    assert [user.username for user in page.users] == [f"u1-{word}", f"u2-{word}"]


def test_organizations_have_a_default(ask: Ask, yard: Yard) -> None:
    """The default organization is found under that name, by its own and by its id."""
    default = ask(lambda c: c.get_organization("default"), yard.url, yard.token)
    assert ask(lambda c: c.get_organization(default.id), yard.url, yard.token) == default
    assert default in ask(lambda c: c.list_user_organizations("me"), yard.url, yard.token)


def test_an_import_is_followed(ask: Ask, yard: Yard) -> None:
    """A file comes back as it went up; the log that is followed is the log that is read, from any line on."""

    def call(do: Any) -> Any:
        return ask(do, yard.url, yard.token)

    text = f'# {uuid4()}\n[template]\ndisplay_name = "T"\n\n[agent]\ntype = "shell"\n'
    data = tar_of({"taskyard.toml": text})
    file_id = call(lambda c: c.upload_file(data)).hash
    assert call(lambda c: c.upload_file(data)).hash == file_id
    assert call(lambda c: c.get_file(file_id)) == data
    request = CreateTemplateVersionRequest(storage_method="file", file_id=file_id)
    version = call(lambda c: c.create_template_version("default", request))
    followed = call(lambda c: c.follow_template_version_logs(version.id))
    done = call(lambda c: c.get_template_version(version.id))
    assert done.job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
    assert followed == call(lambda c: c.get_template_version_logs(version.id))
    middle = followed[len(followed) // 2].id
    rest = [found for found in followed if found.id > middle]
    assert call(lambda c: c.follow_template_version_logs(version.id, after=middle)) == rest
    assert call(lambda c: c.get_template_version_logs(version.id, after=middle)) == rest


def test_what_is_not_there(ask: Ask, yard: Yard) -> None:
    """An unknown id is a 404 for reads and for WebSockets alike."""
    for do in (
        lambda c: c.get_task("me", uuid4()),
        lambda c: c.get_workspace(uuid4(), include_deleted=True),
        lambda c: c.follow_workspace_build_logs(uuid4()),
        lambda c: c.cancel_workspace_build(uuid4(), expect_status=JobStatus.PENDING),
    ):
        with pytest.raises(ApiError) as caught:
            ask(do, yard.url, yard.token)
        assert caught.value.status == 404
        assert caught.value.reason == "not_found"


def test_a_link_is_for_agents(ask: Ask, yard: Yard) -> None:
    """The agents' WebSocket refuses a session token."""
    with pytest.raises(ApiError) as caught:
        ask(lambda c: c.agent_link(), yard.url, yard.token)
    assert caught.value.status == 401


def test_starters_run_tasks(ask: Ask, yard: Yard) -> None:
    """The templates that come along are found by what they can do."""

    def look() -> bool | None:
        found = ask(lambda c: c.list_templates("has-ai-task:true"), yard.url, yard.token)
        return "shell" in {template.name for template in found} or None

    until("the starter templates", look)  # they come one by one
