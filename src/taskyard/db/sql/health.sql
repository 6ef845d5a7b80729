-- name: get_nothing
-- The cheapest question there is: how long its answer takes, every other one takes at least.
select 1 as count;

-- name: get_figures_as_system
-- Figures of the whole database. A start that waits for room has a job, which waits for no worker yet.
select
    current_setting('server_version') as version,
    pg_database_size(current_database()) as size_bytes,
    j.queued, j.running, j.oldest_queued_at, r.taken, r.waiting
from (
    select
        count(*) filter (where started_at is null and not for_room) as queued,
        count(*) filter (where started_at is not null) as running,
        min(created_at) filter (where started_at is null and not for_room) as oldest_queued_at
    from provisioner_jobs
    where completed_at is null
) j
cross join (
    select count(*) filter (where taken) as taken, count(*) filter (where waits is not null and not taken) as waiting
    from workspace_room
) r;

-- name: list_servers_as_system
-- Data directories with the server that serves each, or served it last: those that live, those that hold workspaces,
-- and those that were heard of not long ago.
select
    h.id, coalesce(s.name, h.name) as name, coalesce(s.seen_at > now() - :alive::interval, false) as is_up,
    coalesce(s.roles, '{}') as roles, coalesce(s.version, '') as version, s.started_at,
    greatest(s.seen_at, h.seen_at) as seen_at,
    (select count(*) from workspace_agents a where a.server_id = s.id) as links,
    coalesce(w.held, 0) as workspaces
from hosts h
left join servers s on s.host_id = h.id
left join (
    select host_id, count(*) as held from workspaces where not deleted and host_id is not null group by host_id
) w on w.host_id = h.id
where w.held > 0 or greatest(s.seen_at, h.seen_at) > now() - :remembered::interval
order by h.joined_at, h.id;

-- name: list_workers_as_system
-- Workers that were heard of not long ago; up by the rule of worker_facts.
select id, name, seen_at > now() - interval '20 seconds' as is_up, seen_at, running, capacity
from workers
order by name, id;
