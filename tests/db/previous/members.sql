-- name: insert_named_organization
-- A new organization with all that is said of it; its name is refused when taken.
insert into organizations (id, name, display_name, description, icon, is_default, created_at, updated_at)
values (:id, :name, :display_name, :description, :icon, false, :now, :now);

-- name: list_members
-- Members of an organization as far as the viewer sees them, with their user data; by name, narrowed, a page of them.
select
    m.user_id, m.organization_id, m.created_at, m.updated_at, m.roles,
    u.username, u.name, u.avatar_url, u.email, u.status, u.login_type, u.last_seen_at,
    u.created_at as user_created_at, u.updated_at as user_updated_at, u.roles as global_roles,
    count(*) over () as total
from organization_members m
join users u on u.id = m.user_id and not u.deleted
where m.organization_id = :organization_id
    and (:viewer_all or m.organization_id = any(:viewer_orgs) or m.user_id = :viewer_id)
    and (:user_id::uuid is null or m.user_id = :user_id)
    and (:text::text is null or position(:text in lower(u.username)) > 0 or position(:text in lower(u.email)) > 0)
    and (:statuses::text[] is null or u.status = any(:statuses))
    and (:roles::text[] is null or u.roles && :roles)
    and (:login_types::text[] is null or u.login_type = any(:login_types))
    and (:github_user_id::bigint is null or u.github_user_id = :github_user_id)
    and (:last_seen_before::timestamptz is null or u.last_seen_at < :last_seen_before)
    and (:last_seen_after::timestamptz is null or u.last_seen_at > :last_seen_after)
    and (:created_before::timestamptz is null or u.created_at < :created_before)
    and (:created_after::timestamptz is null or u.created_at > :created_after)
order by lower(u.username)
limit :limit offset :offset;

-- name: lock_member_as_system
-- What a user is in an organization, held until the transaction ends.
select organization_id, user_id, roles, created_at, updated_at
from organization_members
where organization_id = :organization_id and user_id = :user_id
for update;

-- name: update_member_roles
-- A member's roles in an organization.
update organization_members
set roles = :roles, updated_at = :now
where organization_id = :organization_id and user_id = :user_id;

-- name: delete_member
-- The user is no longer in the organization.
delete from organization_members
where organization_id = :organization_id and user_id = :user_id;

-- name: delete_memberships_of
-- The user is in no organization any more.
delete from organization_members
where user_id = :user_id;
