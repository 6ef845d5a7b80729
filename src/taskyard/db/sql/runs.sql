-- name: get_run_as_system
-- What an executor has to know of a build and its workspace. The task is null when none is live.
select
    b.id as build_id, b.workspace_id, b.build_number, b.transition, b.job_id, b.created_at, w.name as workspace_name,
    w.ttl_ms, w.generation, w.driver, w.deleted, v.name as template_version_name, v.definition, j.file_id,
    t.id as task_id, b.orphan, b.force, b.reason,
    exists (
        select 1 from workspace_builds p
        join provisioner_jobs q on q.id = p.job_id
        where p.workspace_id = b.workspace_id and p.build_number = b.build_number - 1 and p.transition = 'stop'
            and job_status(q.started_at, q.completed_at, q.canceled_at, q.error) = 'succeeded'
    ) as paused_before,
    not exists (
        select 1 from workspace_builds n where n.workspace_id = b.workspace_id and n.build_number > b.build_number
    ) as newest,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status
from workspace_builds b
join workspaces w on w.id = b.workspace_id
join template_versions v on v.id = b.template_version_id
join provisioner_jobs j on j.id = b.job_id
left join tasks t on t.workspace_id = w.id and t.deleted_at is null
where b.id = :build_id;

-- name: get_start_mark_as_system
-- Stands for all that a build's workspace is told by its manifest: another template version, parameter or secret makes
-- another one. Never shown to anybody.
select encode(sha256(convert_to(jsonb_build_array(
    b.template_version_id,
    w.name,
    u.username,
    (select jsonb_object_agg(p.name, p.value) from workspace_build_parameters p where p.workspace_build_id = b.id),
    (
        select jsonb_object_agg(s.id, extract(epoch from s.updated_at)) from secrets s
        where coalesce(s.organization_id, s.template_id, s.user_id) in (w.owner_id, w.template_id, w.organization_id)
    )
)::text, 'UTF8')), 'hex') as mark
from workspace_builds b
join workspaces w on w.id = b.workspace_id
join users u on u.id = w.owner_id
where b.id = :build_id;

-- name: get_file_as_system
-- The files of a template, as the tar that was uploaded.
select data from files where id = :file_id;

-- name: raise_generation
-- The next generation of a workspace, above every one its driver knows. From its first start on it stays in the data
-- directory host_id; one that an older release started is in the first.
update workspaces
set generation = greatest(generation, :seen::integer) + 1, driver = :driver, host_id = :host_id, updated_at = :now
where id = :workspace_id and not deleted
    and coalesce(host_id, case when driver is not null then (select id from deployment) end, :host_id) = :host_id
returning generation;

-- name: set_restarts
-- How many repairs in a row there were.
update workspaces set restarts = :restarts where id = :workspace_id;

-- name: end_agents
-- No agent of the workspace runs any more, but perhaps those of one build.
update workspace_agents
set lifecycle = 'off',
    server_id = null,
    lease_expires_at = null,
    disconnected_at = case when first_connected_at is null then null else coalesce(disconnected_at, :now) end,
    updated_at = :now
where workspace_id = :workspace_id and lifecycle <> 'off'
    and workspace_build_id is distinct from :but_of_build::uuid;

-- name: renew_agent
-- The agent of a build begins anew: another token, another generation, nothing heard yet.
update workspace_agents
set token_hash = :token_hash,
    generation = :generation,
    lifecycle = 'created',
    server_id = null,
    first_connected_at = null,
    last_connected_at = null,
    disconnected_at = null,
    lease_expires_at = null,
    started_at = null,
    ready_at = null,
    updated_at = :now
where workspace_build_id = :build_id;

-- name: renew_apps
-- Nobody knows yet how the apps of a build are that have a health check.
update workspace_apps p
set health = 'initializing'
from workspace_agents a
where a.id = p.agent_id and a.workspace_build_id = :build_id and p.health <> 'disabled';

-- name: has_snapshot_since
-- Whether the log of a task was uploaded at or after that time.
select exists (
    select 1 from task_snapshots where task_id = :task_id and created_at >= :since
) as found;

-- name: rest_workspace
-- A workspace is dormant from now on, and goes when the template's time for that has passed, if there is one.
update workspaces w
set dormant_at = :now, updated_at = :now,
    deleting_at = case when p.delete_ttl_ms > 0
        then :now::timestamptz + make_interval(secs => p.delete_ttl_ms / 1000.0) end
from templates p
where w.id = :workspace_id and p.id = w.template_id;

-- name: delete_workspace
-- The workspace is gone; its name is free.
update workspaces set deleted = true, updated_at = :now where id = :workspace_id;

-- name: delete_task_of_workspace
-- The live task of a workspace goes with it.
update tasks set deleted_at = :now where workspace_id = :workspace_id and deleted_at is null;

-- name: list_world_as_system
-- Live workspaces of a data directory, or of none yet, with what the newest build wants and what was heard of the
-- agent: those that take room or were seen to run, those for which something is due by the clock, and on demand those
-- that are being built. All others need nothing.
with wanted as (
    select workspace_id as id from workspace_room where taken and (host_id = :host_id or host_id is null)
    union
    select unnest(:running::uuid[])
    union
    select b.workspace_id from workspace_builds b where not b.settled and :active::boolean
    union
    select w.id from workspaces w where w.deleting_at <= :now and w.deleting_at is not null and not w.deleted
    union
    select w.id
    from templates p
    join workspaces w on w.template_id = p.id and not w.deleted
    where p.dormant_ttl_ms > 0 and w.dormant_at is null
        and w.last_used_at <= :now::timestamptz - make_interval(secs => p.dormant_ttl_ms / 1000.0)
    union
    select w.id
    from templates p
    join workspaces w on w.template_id = p.id and not w.deleted
    cross join lateral (
        select n.transition, n.job_id from workspace_builds n where n.workspace_id = w.id order by n.build_number desc limit 1
    ) b
    join provisioner_jobs j on j.id = b.job_id
    where p.failure_ttl_ms > 0 and b.transition = 'start' and j.error is not null
        and j.completed_at <= :now::timestamptz - make_interval(secs => p.failure_ttl_ms / 1000.0)
    union
    select w.id from users u join workspaces w on w.owner_id = u.id and not w.deleted where u.deleted
    union
    select w.id
    from tasks t
    join workspaces w on w.id = t.workspace_id and not w.deleted
    where t.deleted_at is not null
)
select
    w.id as workspace_id, w.owner_id, w.driver, w.generation, w.restarts, b.id as build_id, b.job_id, b.transition,
    b.deadline, b.template_version_id, b.template_version_preset_id,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status,
    greatest(
        coalesce(j.completed_at, j.updated_at),
        (
            select max(r.completed_at) from provisioner_jobs r
            where r.workspace_id = w.id and r.workspace_build_id = b.id and r.type = 'workspace_repair'
        )
    ) as settled_at,
    a.last_connected_at as agent_last_seen,
    exists (select 1 from tasks t where t.workspace_id = w.id and t.deleted_at is null) as is_task,
    case when b.transition = 'start' and j.completed_at is not null and j.error is not null and p.failure_ttl_ms > 0
        then j.completed_at + make_interval(secs => p.failure_ttl_ms / 1000.0) end as tidy_from,
    case when w.dormant_at is null and p.dormant_ttl_ms > 0
        then w.last_used_at + make_interval(secs => p.dormant_ttl_ms / 1000.0) end as rest_from,
    w.deleting_at as discard_from,
    case when u.deleted or b.transition = 'delete'
        then abandoned_from(w.id, w.owner_id, b.transition, j.completed_at) end as abandoned_from,
    exists (select 1 from workspace_room r where r.workspace_id = w.id and r.taken) as takes_room,
    w.dormant_at is null and b.reason <> 'dormancy' as may_freeze
from wanted
join workspaces w on w.id = wanted.id
join users u on u.id = w.owner_id
join templates p on p.id = w.template_id
cross join lateral (
    select n.id, n.job_id, n.transition, n.reason, n.deadline, n.template_version_id, n.template_version_preset_id
    from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b
join provisioner_jobs j on j.id = b.job_id
left join lateral (
    select max(g.last_connected_at) as last_connected_at from workspace_agents g where g.workspace_build_id = b.id
) a on true
where not w.deleted
    and coalesce(w.host_id, case when w.driver is not null then (select id from deployment) end, :host_id) = :host_id;

-- name: list_strangers_as_system
-- Which of these are no live workspaces of the data directory, or of none yet; one that was deleted since they were
-- looked at is not meant. A time that lies far ahead was written before the clock was set back.
select s.id
from unnest(:seen::uuid[]) s (id)
where not exists (
    select 1 from workspaces w
    where w.id = s.id
        and (not w.deleted or w.updated_at > :looked_at and w.updated_at < :looked_at + interval '5 minutes')
        and coalesce(w.host_id, case when w.driver is not null then (select id from deployment) end, :host_id) = :host_id
);

-- name: lock_any_workspace
-- A workspace, deleted or not, locked until the transaction ends.
select id from workspaces where id = :workspace_id for no key update;

-- name: get_place_as_system
-- A workspace with its newest build and whether anything is at work on it. A statement of its own, because
-- one that waits for a lock goes on with what it saw before.
select
    w.id as workspace_id, w.organization_id, w.owner_id, w.generation, w.deleted, b.id as build_id, b.job_id,
    b.transition, b.deadline, b.max_deadline, b.template_version_id, b.template_version_preset_id, j.file_id, j.initiator_id,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status,
    exists (
        select 1 from provisioner_jobs o where o.workspace_id = w.id and o.completed_at is null
    ) as busy, w.name as workspace_name,
    case when b.transition = 'start' and j.completed_at is not null and j.error is not null and p.failure_ttl_ms > 0
        then j.completed_at + make_interval(secs => p.failure_ttl_ms / 1000.0) end as tidy_from,
    case when w.dormant_at is null and p.dormant_ttl_ms > 0
        then w.last_used_at + make_interval(secs => p.dormant_ttl_ms / 1000.0) end as rest_from,
    w.deleting_at as discard_from,
    abandoned_from(w.id, w.owner_id, b.transition, j.completed_at) as abandoned_from,
    coalesce(w.host_id, case when w.driver is not null then (select id from deployment) end) as host_id
from workspaces w
join templates p on p.id = w.template_id
join workspace_builds b on b.workspace_id = w.id
join provisioner_jobs j on j.id = b.job_id
where w.id = :workspace_id
order by b.build_number desc
limit 1;

-- name: count_failed_starts
-- How many repairs of a build fall into one stretch before the newest of them, while its agent has not
-- called since.
select count(*) as count
from provisioner_jobs r
where r.workspace_id = :workspace_id and r.workspace_build_id = :build_id and r.type = 'workspace_repair'
    and not exists (
        select 1 from workspace_agents a
        where a.workspace_build_id = :build_id and a.first_connected_at is not null
    )
    and r.created_at > (
        select max(n.created_at) - :stretch::interval from provisioner_jobs n
        where n.workspace_id = :workspace_id and n.workspace_build_id = :build_id and n.type = 'workspace_repair'
    );

-- name: has_log_stage
-- Whether a job's log has lines of that stage, or any behind that time.
select exists (
    select 1 from provisioner_job_logs
    where job_id = :job_id and stage = :stage and (:since::timestamptz is null or created_at > :since)
) as found;

-- name: lapse_agents
-- Agents whose lease ran out have no link any more.
update workspace_agents
set disconnected_at = :now, server_id = null, lease_expires_at = null, updated_at = :now
where lease_expires_at <= :now
returning id, lifecycle in ('shutting_down', 'shutdown_timeout', 'shutdown_error', 'off') as is_ended;
