-- name: get_agent_manifest_as_system
-- Everything the manifest of a workspace agent is made of.
select
    w.id as workspace_id, w.name as workspace_name, u.username as owner_name, w.generation, w.acked_seq,
    t.id as task_id, v.definition,
    coalesce(
        (select json_object_agg(p.name, p.value) from workspace_build_parameters p where p.workspace_build_id = b.id),
        '{}'::json
    )::jsonb as parameters
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join users u on u.id = w.owner_id
join workspace_builds b on b.id = a.workspace_build_id
join template_versions v on v.id = b.template_version_id
left join tasks t on t.workspace_id = w.id and t.deleted_at is null
where a.id = :agent_id and a.generation = :generation;

-- name: is_current_agent_as_system
-- Whether the agent is of its workspace's newest generation.
select exists (
    select 1 from workspace_agents a
    join workspaces w on w.id = a.workspace_id
    where a.id = :agent_id and a.generation = :generation and w.generation = :generation
) as found;

-- name: connect_agent_as_system
-- The agent has an open link to this server; nothing when a newer generation has taken over.
update workspace_agents a
set server_id = :server_id, first_connected_at = coalesce(a.first_connected_at, :now), last_connected_at = :now,
    disconnected_at = null, lease_expires_at = :lease_expires_at, version = :version, updated_at = :now
from workspaces w
where a.id = :agent_id and a.generation = :generation and w.id = a.workspace_id and w.generation = :generation;

-- name: renew_agent_lease_as_system
-- The agent was heard; nothing when a newer generation has taken over.
update workspace_agents a
set last_connected_at = :now, disconnected_at = null, lease_expires_at = :lease_expires_at
from workspaces w
where a.id = :agent_id and a.generation = :generation and w.id = a.workspace_id and w.generation = :generation;

-- name: lock_agent_as_system
-- The agent, locked until the transaction ends.
select id from workspace_agents
where id = :agent_id
for no key update;

-- name: disconnect_agent_as_system
-- The link to this server is gone; nothing when the agent has connected elsewhere since.
update workspace_agents
set server_id = null, disconnected_at = :now, updated_at = :now
where id = :agent_id and generation = :generation and server_id = :server_id;

-- name: set_agent_lifecycle_as_system
-- What the agent says of its own life.
update workspace_agents a
set lifecycle = :lifecycle, updated_at = :now,
    started_at = case when :lifecycle = 'starting' then :at else a.started_at end,
    ready_at = case when :lifecycle in ('ready', 'start_error', 'start_timeout') then :at else a.ready_at end
from workspaces w
where a.id = :agent_id and a.generation = :generation and w.id = a.workspace_id and w.generation = :generation;

-- name: set_app_health_as_system
-- The health of an app that has a health check.
update workspace_apps app
set health = :health
from workspace_agents a
join workspaces w on w.id = a.workspace_id
where a.id = app.agent_id and a.id = :agent_id and a.generation = :generation and w.generation = :generation
    and app.slug = :slug and app.health <> 'disabled';

-- name: upsert_log_source_as_system
-- A writer of the agent's log, unless there are so many already.
insert into workspace_agent_log_sources (id, agent_id, display_name, icon, created_at)
select :id, :agent_id, :display_name, :icon, :now
where (select count(*) from workspace_agent_log_sources s where s.agent_id = :agent_id) < :most
on conflict (agent_id, id) do nothing;

-- name: get_log_source_as_system
-- A writer of the agent's log.
select id from workspace_agent_log_sources
where agent_id = :agent_id and id = :source_id;

-- name: grow_agent_logs_as_system
-- Room for more bytes of log, up to a limit; nothing when it is full, or was once: a log has no holes.
update workspace_agents
set logs_length = logs_length + :size
where id = :agent_id and not logs_overflowed and logs_length + :size <= :limit;

-- name: mark_agent_logs_overflowed_as_system
-- The log is full; what came after is lost.
update workspace_agents
set logs_overflowed = true
where id = :agent_id;

-- name: insert_agent_log_as_system
-- One line of the agent's log.
insert into workspace_agent_logs (agent_id, source_id, level, output, created_at)
values (:agent_id, :source_id, :level, :output, :created_at);

-- name: get_agent_app_as_system
-- An app of the agent by its slug.
select app.id, a.workspace_id
from workspace_apps app
join workspace_agents a on a.id = app.agent_id
where a.id = :agent_id and app.slug = :slug;

-- name: get_task_app_as_system
-- The app that takes the task's input, of the build this agent is of.
select app.id, a.workspace_id from workspace_agents a
join workspace_builds b on b.id = a.workspace_build_id
join workspace_apps app on app.id = b.app_id
where a.id = :agent_id;

-- name: use_workspace_as_system
-- Work in a workspace is use of it, told at most once a minute. Before the report itself is stored.
update workspaces w
set last_used_at = :now
where w.id = :workspace_id and w.last_used_at < :now::timestamptz - interval '1 minute'
    and 'working' in (
        :state,
        (select s.state from workspace_app_statuses s where s.workspace_id = w.id order by s.place desc limit 1)
    );

-- name: insert_app_status_as_system
-- What a coding agent reports, or what we observe of it. It counts for the newest build, whatever time that was made
-- at by a clock that was set back since.
insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, number, created_at)
select
    :id, :workspace_id, :agent_id, :app_id, :state, :message, :uri, :number,
    greatest(:now::timestamptz, max(b.created_at) + interval '1 microsecond')
from workspace_builds b
where b.workspace_id = :workspace_id;

-- name: drop_app_statuses_as_system
-- Reports through this app that nobody is shown any more: all but the newest.
delete from workspace_app_statuses
where app_id = :app_id and place < (
    select min(s.place) from (
        select r.place from workspace_app_statuses r where r.app_id = :app_id order by r.place desc limit :most
    ) s
);

-- name: push_deadline_as_system
-- Activity moves the deadline of the newest build to at least the template's bump from now. Activity is a report
-- of work, or the first that says something else. Before the report itself is stored.
update workspace_builds b
set deadline = least(
        greatest(b.deadline, :now::timestamptz + make_interval(secs => t.activity_bump_ms / 1000.0)),
        b.max_deadline
    ),
    updated_at = :now
from workspaces w
join templates t on t.id = w.template_id
where w.id = :workspace_id and b.workspace_id = w.id and b.deadline is not null
    and 'working' in (
        :state,
        (select s.state from workspace_app_statuses s where s.workspace_id = w.id order by s.place desc limit 1)
    )
    and b.build_number = (select max(n.build_number) from workspace_builds n where n.workspace_id = w.id);
