-- name: give_peer_key_as_system
-- The key by which servers of this database know each other's requests, unless there is one.
update deployment set peer_key = :key where peer_key is null;

-- name: get_deployment_key_as_system
-- Whose database it is, and the key of its servers; null in a database that is nobody's yet.
select id, peer_key from deployment;

-- name: find_host_as_system
-- A data directory that joined; seen: one of its servers was of a release that knows of others.
select id, name <> '' as seen from hosts where id = :id;

-- name: join_host_as_system
-- One more data directory.
insert into hosts (id, name, joined_at, seen_at) values (:id, :name, now(), now()) on conflict (id) do nothing;

-- name: adopt_workspaces_as_system
-- Workspaces that a release before this one started after the database was brought up to date: it knew of one
-- data directory.
update workspaces set host_id = (select id from deployment)
where host_id is null and driver is not null and :host_id = (select id from deployment);

-- name: find_rival_as_system
-- A server that lives, of a data directory of this id that is another folder.
select id, name, seen_at from servers
where host_id = :host_id and place <> :place and seen_at > now() - :alive::interval
order by seen_at desc
limit 1;

-- name: forget_servers_as_system
-- Earlier servers of a data directory, which has one at a time.
delete from servers where host_id = :host_id and id <> :id;

-- name: beat_server
-- A server lives, and with it its data directory. Returns how many others do.
with host as (
    update hosts set name = :name, seen_at = now() where id = :host_id
), server as (
    insert into servers (id, host_id, name, url, roles, version, place, started_at, seen_at)
    values (:id, :host_id, :name, :url, :roles, :version, :place, now(), now())
    on conflict (id) do update set seen_at = excluded.seen_at
)
select count(*) as count from servers s where s.id <> :id and s.seen_at > now() - :alive::interval;

-- name: remove_server
-- A server ends.
delete from servers where id = :id;

-- name: find_agent_as_system
-- The living server that holds the link of an agent.
select s.id as server_id, s.url
from workspace_agents a
join servers s on s.id = a.server_id
where a.id = :agent_id and s.seen_at > now() - :alive::interval;

-- name: find_absent_host_as_system
-- The data directory that holds the workspace of an agent, when no server of it lives.
select h.id, h.name, h.seen_at
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join hosts h on h.id = w.host_id
where a.id = :agent_id
    and not exists (select 1 from servers s where s.host_id = h.id and s.seen_at > now() - :alive::interval);

-- name: list_agents_elsewhere_as_system
-- Those of the agents that have connected to another server.
select a.id from workspace_agents a
where a.id = any(:agent_ids::uuid[]) and a.server_id is not null and a.server_id <> :server_id;

-- name: list_stranded_as_system
-- Workspaces that should run, or that a job waits for, while no server of the data directory with their files has
-- been heard of for so long; not those whose job's log says so already of this time, and none of our own.
select w.id as workspace_id, h.id as host_id, h.name, h.seen_at
from hosts h
join workspaces w on w.host_id = h.id and not w.deleted
cross join lateral (
    select b.transition, b.job_id from workspace_builds b
    where b.workspace_id = w.id order by b.build_number desc limit 1
) newest
join provisioner_jobs j on j.id = newest.job_id
where h.id <> :host_id and h.seen_at <= now() - :away::interval
    and not exists (select 1 from servers s where s.host_id = h.id and s.seen_at > now() - :alive::interval)
    and (j.completed_at is null or newest.transition = 'start' and j.error is null and j.canceled_at is null)
    and not exists (
        select 1 from provisioner_job_logs l where l.job_id = j.id and l.stage = :stage and l.created_at > h.seen_at
    );

-- name: list_returned_as_system
-- Workspaces of a data directory whose coding agents were last said to be out of reach, while a server holds the link
-- of one that is of their newest generation.
select w.id as workspace_id, o.task_id
from task_observed o
join tasks t on t.id = o.task_id
join workspaces w on w.id = t.workspace_id and not w.deleted and w.host_id = :host_id
where o.session = :session and o.generation = w.generation
    and exists (
        select 1 from workspace_agents a
        where a.workspace_id = w.id and a.generation = w.generation and a.server_id is not null
    );

-- name: get_told_state_as_system
-- What the bridge of a generation told last of its coding agent.
select data from task_items
where task_id = :task_id and kind = 'state' and generation = :generation
order by number desc
limit 1;
