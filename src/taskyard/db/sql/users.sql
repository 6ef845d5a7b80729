-- name: list_users
-- Users that the viewer may read: oneself, those of organizations administered, or all; by name, narrowed, a page of them.
with found as (
    select
        u.id, u.username, u.email, u.name, u.avatar_url, u.password_hash, u.login_type, u.status, u.roles,
        u.github_user_id, u.max_running, u.created_at, u.updated_at, u.last_seen_at,
        array(
            select m.organization_id from organization_members m where m.user_id = u.id
            order by m.created_at, m.organization_id
        ) as organization_ids,
        count(*) over () as total
    from users u
    where not u.deleted
        and (:viewer_all or u.id = :viewer_id or exists (
            select 1 from organization_members m
            where m.user_id = u.id and m.organization_id = any(:viewer_orgs)
        ))
        and (:text::text is null or position(:text in lower(u.username)) > 0 or position(:text in lower(u.email)) > 0)
        and (:statuses::text[] is null or u.status = any(:statuses))
        and (:roles::text[] is null or u.roles && :roles)
        and (:login_types::text[] is null or u.login_type = any(:login_types))
        and (:github_user_id::bigint is null or u.github_user_id = :github_user_id)
        and (:last_seen_before::timestamptz is null or u.last_seen_at < :last_seen_before)
        and (:last_seen_after::timestamptz is null or u.last_seen_at > :last_seen_after)
        and (:created_before::timestamptz is null or u.created_at < :created_before)
        and (:created_after::timestamptz is null or u.created_at > :created_after)
)
select
    f.id, f.username, f.email, f.name, f.avatar_url, f.password_hash, f.login_type, f.status, f.roles,
    f.github_user_id, f.max_running, f.created_at, f.updated_at, f.last_seen_at, f.organization_ids, f.total
from found f
where :after::text is null or lower(f.username) > lower(:after)
order by lower(f.username)
limit :limit offset :offset;

-- name: lock_user_as_system
-- A live user by id, held until the transaction ends; a workspace cannot be given to them meanwhile. The lock is one
-- that rows which only name them need not wait for: whoever holds a user's new workspace may be about to write such.
select
    u.id, u.username, u.email, u.name, u.avatar_url, u.password_hash, u.login_type, u.status, u.roles,
    u.github_user_id, u.max_running, u.created_at, u.updated_at, u.last_seen_at,
    array(
        select m.organization_id from organization_members m where m.user_id = u.id
        order by m.created_at, m.organization_id
    ) as organization_ids
from users u
where u.id = :user_id and not u.deleted
for no key update of u;

-- name: lock_owners_as_system
-- Every owner who can act, held until the transaction ends, so that two of them cannot both stop being the last but one.
select u.id
from users u
where 'owner' = any(u.roles) and not u.deleted and u.status <> 'suspended'
order by u.id
for no key update of u;

-- name: update_user
-- A user's data as given; unique indexes refuse a taken name, address or GitHub account.
update users
set username = :username, email = :email, name = :name, github_user_id = :github_user_id, status = :status,
    roles = :roles, password_hash = :password_hash, max_running = :max_running, updated_at = :now
where id = :id and not deleted;

-- name: delete_user
-- The user is no longer there and has no password; what refers to them stays, their name and address are free again.
update users
set deleted = true, password_hash = null, updated_at = :now
where id = :user_id and not deleted;

-- name: count_workspaces_of
-- How many workspaces of a user are not deleted.
select count(*) as count from workspaces where owner_id = :user_id and not deleted;

-- name: delete_sessions_of
-- Ends every session of a user but the one that is kept; named tokens stay.
delete from api_keys
where user_id = :user_id and login_type <> 'token' and id <> :kept;

-- name: delete_keys_of
-- Ends every session and token of a user.
delete from api_keys
where user_id = :user_id;

-- name: get_git_ssh_key
-- The public half of a user's SSH key.
select user_id, public_key, created_at, updated_at
from git_ssh_keys
where user_id = :user_id;

-- name: first_git_ssh_key
-- A user's SSH key: this one, unless another request was quicker and made the one that it is.
insert into git_ssh_keys (user_id, public_key, created_at, updated_at)
values (:user_id, :public_key, :now, :now)
on conflict (user_id) do update set updated_at = git_ssh_keys.updated_at
returning user_id, public_key, created_at, updated_at;

-- name: put_git_ssh_key
-- A user's SSH key: a new one, or another in the place of the one there was.
insert into git_ssh_keys (user_id, public_key, created_at, updated_at)
values (:user_id, :public_key, :now, :now)
on conflict (user_id) do update set public_key = excluded.public_key, updated_at = excluded.updated_at
returning user_id, public_key, created_at, updated_at;

-- name: delete_git_ssh_key
-- A user's SSH key is gone.
delete from git_ssh_keys
where user_id = :user_id;

-- name: count_login_attempt_as_system
-- One try more to sign in within this window; how many there were.
insert into login_attempts (subject, window_start, attempts)
values (:subject, :window_start, 1)
on conflict (subject, window_start) do update set attempts = login_attempts.attempts + 1
returning attempts;

-- name: forgive_login_attempt_as_system
-- The try was none: whoever made it was let in.
update login_attempts
set attempts = greatest(attempts - 1, 0)
where subject = :subject and window_start = :window_start;

-- name: sweep_login_attempts_as_system
-- Windows that are over are forgotten; rows that somebody else is sweeping are left to them.
delete from login_attempts
where ctid in (
    select l.ctid from login_attempts l where l.window_start < :window_start for update skip locked
);
