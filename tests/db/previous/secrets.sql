-- name: claim_secret_key
-- The key of this installation, unless it has one.
insert into secret_key (key_id, claimed_at)
values (:key_id, :now)
on conflict (only_row) do nothing;

-- name: get_secret_key_as_system
-- The key that this installation's secrets are sealed by.
select key_id from secret_key;

-- name: forget_secret_key
-- The installation has no key any more.
delete from secret_key;

-- name: forget_secrets
-- No secret of anybody is left.
delete from secrets;

-- name: lock_secrets_of
-- Nobody else changes the secrets of this owner until the transaction ends.
select count(*)::integer as count
from (select pg_advisory_xact_lock(hashtextextended(:owner_id::uuid::text, 3))) held;

-- name: put_secret
-- A secret of one owner, or another value of it; created tells which.
insert into secrets (
    id, organization_id, template_id, user_id, name, scheme, key_id, nonce, sealed, created_at, updated_at
)
values (
    :id, :organization_id, :template_id, :user_id, :name, :scheme, :key_id, :nonce, :sealed, :now, :now
)
on conflict (coalesce(organization_id, template_id, user_id), name) do update
set scheme = excluded.scheme, key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed,
    updated_at = excluded.updated_at
returning id, name, created_at, updated_at, (xmax = 0) as created;

-- name: list_secrets_of_as_system
-- The secrets of one owner, without what is sealed in them.
select id, name, created_at, updated_at, false as created
from secrets
where coalesce(organization_id, template_id, user_id) = :owner_id
order by name;

-- name: measure_secrets_of_as_system
-- How many secrets an owner has, and the bytes of their values.
select count(*)::integer as count, coalesce(sum(length(sealed) - 16), 0)::bigint as size
from secrets
where coalesce(organization_id, template_id, user_id) = :owner_id;

-- name: delete_secret
-- A secret of one owner is gone; nothing when there was none.
delete from secrets
where coalesce(organization_id, template_id, user_id) = :owner_id and name = :name
returning id;

-- name: delete_secrets_of
-- No secret of an owner is left.
delete from secrets
where coalesce(organization_id, template_id, user_id) = :owner_id;

-- name: list_build_secrets_as_system
-- Names of the secrets that could be given to the workspace of a build: its owner's, organization's and template's.
select
    s.name, (case when s.user_id is not null then 'user' when s.template_id is not null then 'template' else 'organization' end)
        as owner
from workspace_builds b
join workspaces w on w.id = b.workspace_id
join secrets s on coalesce(s.organization_id, s.template_id, s.user_id) in (w.owner_id, w.template_id, w.organization_id)
where b.id = :build_id;

-- name: get_agent_template_as_system
-- The parsed template that the workspace of an agent was started by.
select v.definition
from workspace_agents a
join workspace_builds b on b.id = a.workspace_build_id
join template_versions v on v.id = b.template_version_id
where a.id = :agent_id;

-- name: list_agent_secrets_as_system
-- The same for the workspace of an agent, sealed.
select
    s.name, (case when s.user_id is not null then 'user' when s.template_id is not null then 'template' else 'organization' end)
        as owner,
    coalesce(s.organization_id, s.template_id, s.user_id) as owner_id, s.scheme, s.key_id, s.nonce, s.sealed
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join secrets s on coalesce(s.organization_id, s.template_id, s.user_id) in (w.owner_id, w.template_id, w.organization_id)
where a.id = :agent_id;
