-- name: count_users_as_system
-- How many users were ever made; the first-user routes ask.
select count(*) as count from users;

-- name: insert_user
-- A new user; unique indexes refuse a taken name or address.
insert into users (
    id, username, email, name, avatar_url, password_hash, login_type, status, roles, github_user_id,
    created_at, updated_at, last_seen_at
) values (
    :id, :username, :email, :name, '', :password_hash, :login_type, :status, :roles, :github_user_id,
    :now, :now, '0001-01-01T00:00:00Z'
);

-- name: get_user_as_system
-- A live user by id, with the organizations they belong to.
select
    u.id, u.username, u.email, u.name, u.avatar_url, u.password_hash, u.login_type, u.status, u.roles,
    u.github_user_id, u.max_running, u.created_at, u.updated_at, u.last_seen_at,
    array(
        select m.organization_id from organization_members m where m.user_id = u.id
        order by m.created_at, m.organization_id
    ) as organization_ids
from users u
where u.id = :user_id and not u.deleted;

-- name: get_user_by_username_as_system
-- A live user by name, whatever its case.
select
    u.id, u.username, u.email, u.name, u.avatar_url, u.password_hash, u.login_type, u.status, u.roles,
    u.github_user_id, u.max_running, u.created_at, u.updated_at, u.last_seen_at,
    array(
        select m.organization_id from organization_members m where m.user_id = u.id
        order by m.created_at, m.organization_id
    ) as organization_ids
from users u
where lower(u.username) = lower(:username) and not u.deleted;

-- name: get_user_by_email_as_system
-- A live user by address, whatever its case.
select
    u.id, u.username, u.email, u.name, u.avatar_url, u.password_hash, u.login_type, u.status, u.roles,
    u.github_user_id, u.max_running, u.created_at, u.updated_at, u.last_seen_at,
    array(
        select m.organization_id from organization_members m where m.user_id = u.id
        order by m.created_at, m.organization_id
    ) as organization_ids
from users u
where lower(u.email) = lower(:email) and not u.deleted;

-- name: insert_organization
-- A new organization.
insert into organizations (id, name, display_name, description, icon, is_default, created_at, updated_at)
values (:id, :name, :display_name, '', '', :is_default, :now, :now);

-- name: get_default_organization_as_system
-- The organization that `default` names; there is always one.
select id, name, display_name, description, icon, is_default, max_running, created_at, updated_at
from organizations
where is_default;

-- name: list_organizations
-- Organizations the viewer belongs to, or all; the default one first.
select
    o.id, o.name, o.display_name, o.description, o.icon, o.is_default, o.max_running, o.created_at, o.updated_at
from organizations o
where :viewer_all or o.id = any(:viewer_orgs) or exists (
    select 1 from organization_members m where m.organization_id = o.id and m.user_id = :viewer_id
)
order by o.is_default desc, lower(o.name);

-- name: list_user_organizations
-- Organizations of one user, as far as the viewer sees them.
select
    o.id, o.name, o.display_name, o.description, o.icon, o.is_default, o.max_running, o.created_at, o.updated_at
from organizations o
join organization_members m on m.organization_id = o.id and m.user_id = :user_id
where :viewer_all or :viewer_id = :user_id or o.id = any(:viewer_orgs)
order by o.is_default desc, lower(o.name);

-- name: insert_member
-- A user in an organization; nothing when already there.
insert into organization_members (organization_id, user_id, roles, created_at, updated_at)
values (:organization_id, :user_id, :roles, :now, :now)
on conflict do nothing;

-- name: list_memberships_as_system
-- The organizations of a user with the roles there.
select organization_id, roles
from organization_members
where user_id = :user_id;

-- name: insert_api_key
-- A new key; its secret is not stored, only the hash of it.
insert into api_keys (
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at,
    created_at, updated_at
) values (
    :id, :user_id, :secret_hash, :login_type, :scope, :token_name, :lifetime_s, '0001-01-01T00:00:00Z',
    :expires_at, :now, :now
);

-- name: get_api_key_as_system
-- A key by its id.
select
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at,
    created_at, updated_at
from api_keys
where id = :id;

-- name: list_tokens
-- Named tokens of one user, or of everybody for those who see all; newest first.
select
    k.id, k.user_id, k.secret_hash, k.login_type, k.scope, k.token_name, k.lifetime_s, k.last_used_at,
    k.expires_at, k.created_at, k.updated_at, u.username
from api_keys k
join users u on u.id = k.user_id
where k.login_type = 'token'
    and (:viewer_all or k.user_id = :viewer_id)
    and (:user_id::uuid is null or k.user_id = :user_id)
    and (:expired or k.expires_at > :now)
order by k.created_at desc, k.id;

-- name: count_tokens_as_system
-- How many named tokens of a user are good.
select count(*) as count from api_keys where user_id = :user_id and login_type = 'token' and expires_at > :now;

-- name: delete_oldest_sessions_as_system
-- Ends the sessions of a user beyond the newest ones, by when they were used, those first that are over already.
delete from api_keys
where id in (
    select k.id from api_keys k
    where k.user_id = :user_id and k.login_type = 'password'
    order by k.expires_at > :now desc, k.last_used_at desc, k.created_at desc, k.id
    offset :keep
)
returning
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at,
    created_at, updated_at;

-- name: take_turn_as_system
-- Waits until nobody else adds something to what the user has; until the transaction ends.
select 1 as count from pg_advisory_xact_lock(hashtextextended(:user_id::uuid::text, 7245004));

-- name: get_token_by_name
-- A user's token by its name.
select
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at,
    created_at, updated_at
from api_keys
where user_id = :user_id and token_name = :token_name;

-- name: expire_api_key
-- Ends a key of this user at once, without forgetting it; one that is over already stays as it is.
update api_keys
set expires_at = least(expires_at, :now), updated_at = :now
where id = :id and user_id = :user_id;

-- name: delete_api_key
-- Ends a key of this user at once.
delete from api_keys
where id = :id and user_id = :user_id;

-- name: get_agent_auth_as_system
-- The agent whose current token has this hash, with what decides whether it is still good, and what its
-- template lets it connect to.
select
    a.id as agent_id, a.workspace_id, a.workspace_build_id, a.generation,
    w.deleted as workspace_deleted,
    w.generation as workspace_generation,
    b.build_number, b.transition,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status,
    newest.build_number as newest_number, newest.transition as newest_transition,
    job_status(nj.started_at, nj.completed_at, nj.canceled_at, nj.error) as newest_job_status,
    t.id as task_id,
    coalesce(v.definition -> 'workspace' -> 'egress', '[]'::jsonb)
        || coalesce(v.definition -> 'workspace' -> 'egress_limited', '[]'::jsonb) as egress
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join workspace_builds b on b.id = a.workspace_build_id
join template_versions v on v.id = b.template_version_id
join provisioner_jobs j on j.id = b.job_id
join lateral (
    select n.build_number, n.transition, n.job_id
    from workspace_builds n
    where n.workspace_id = a.workspace_id
    order by n.build_number desc
    limit 1
) newest on true
join provisioner_jobs nj on nj.id = newest.job_id
left join tasks t on t.workspace_id = w.id and t.deleted_at is null
where a.token_hash = :token_hash;
