-- name: get_running_app_as_system
-- An app of a workspace whose newest build is a start that worked, with whoever the cookie's visit lets in, if any.
select
    w.id as workspace_id, w.name as workspace_name, w.owner_id, w.organization_id, w.generation,
    a.id as agent_id, p.slug, p.url, p.sharing_level,
    v.generation as visit_generation, v.expires_at as visit_ends_at,
    k.key_id, k.user_id, k.username, k.status, k.roles, k.member_of, k.admin_of, k.expires_at as key_ends_at
from workspaces w
join lateral (
    select n.id, n.transition, n.job_id from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b on b.transition = 'start'
join provisioner_jobs j on j.id = b.job_id
join workspace_agents a on a.workspace_build_id = b.id and a.generation = w.generation
join workspace_apps p on p.agent_id = a.id and p.slug = :slug
left join app_visits v on v.cookie_hash = :cookie_hash and v.workspace_id = w.id and v.slug = p.slug
left join askers k on k.key_id = v.key_id
where w.id = :workspace_id and not w.deleted
    and job_status(j.started_at, j.completed_at, j.canceled_at, j.error) = 'succeeded';

-- name: insert_app_ticket_as_system
-- A visit that nobody has made yet.
insert into app_visits (id, workspace_id, generation, slug, key_id, ticket_hash, created_at, expires_at)
values (:id, :workspace_id, :generation, :slug, :key_id, :ticket_hash, :now, :expires_at);

-- name: remove_old_app_visits_as_system
-- Ends what a key has at an app, but for its newest.
delete from app_visits
where id in (
    select r.id from app_visits r
    where r.key_id = :key_id and r.workspace_id = :workspace_id and r.slug = :slug
    order by r.created_at desc, r.id offset :kept
);

-- name: reap_app_visits_as_system
-- Forgets some visits that are over.
delete from app_visits
where id in (
    select r.id from app_visits r where r.expires_at < :now
    order by r.expires_at limit 100 for update skip locked
);

-- name: use_app_ticket_as_system
-- Gives a cookie for a ticket of this app, once.
update app_visits
set ticket_hash = null, cookie_hash = :cookie_hash, expires_at = :expires_at
where ticket_hash = :ticket_hash and workspace_id = :workspace_id and slug = :slug and expires_at > :now;
