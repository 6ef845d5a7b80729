-- name: begin_phases_as_system
-- A start has been asked for, or a repair of one: its next round begins.
select begin_phases(:workspace_id, :build_id, :now) as round;

-- name: end_phases_as_system
-- What ends phases of a start, one after the other.
select end_phases(
    :build_id, :skips::text[], :phases::text[], :outcomes::text[], :causes::text[], :reasons::text[],
    :times::timestamptz[], :now
) as told;

-- name: record_phases_as_system
-- The same when the driver is done: from the template follows what this start does not go through, and from the
-- task whether anything is to be brought to its coding agent.
select end_phases(
    :build_id,
    :skips::text[] || case when exists (
        select 1 from workspace_builds b
        join tasks t on t.workspace_id = b.workspace_id and t.deleted_at is null
        where b.id = :build_id and (
            t.input ~ '\S' and not exists (
                select 1 from task_prompts p
                where p.workspace_build_id = b.id and p.source = 'input' and p.state <> 'sending'
            ) and t.input is distinct from (
                select d.content from task_prompts d
                where d.task_id = t.id and d.source = 'input' and d.state in ('delivered', 'uncertain')
                order by d.place desc
                limit 1
            )
            or exists (select 1 from task_prompts q where q.task_id = t.id and q.state in ('waiting', 'sending'))
        )
    ) then '{}' else array['first_prompt', 'first_answer'] end,
    :phases::text[], :outcomes::text[], :causes::text[], :reasons::text[], :times::timestamptz[], :now
) as told;

-- name: get_running_phase_as_system
-- The phase in which a workspace is; no row where nothing of a start goes on.
select phase from workspace_build_phases where workspace_id = :workspace_id and ended_at is null;

-- name: get_phase_app_as_system
-- Which build an agent is of whose task's app has this slug, and whether the app is our own bridge.
select b.id as build_id, coalesce(jsonb_typeof(v.definition -> 'agent'), 'null') <> 'null' as is_ours
from workspace_agents a
join workspace_builds b on b.id = a.workspace_build_id
join workspace_apps app on app.id = b.app_id
join template_versions v on v.id = b.template_version_id
where a.id = :agent_id and app.slug = :slug;

-- name: get_start_as_system
-- The newest start of a workspace, or the one of that number, with what its job says.
select b.id, b.build_number, b.job_id, b.agent_id, j.started_at, j.error
from workspace_builds b
join provisioner_jobs j on j.id = b.job_id
where b.workspace_id = :workspace_id and b.transition = 'start'
    and (:build_number::integer is null or b.build_number = :build_number)
order by b.build_number desc
limit 1;

-- name: list_phases_as_system
-- What a start went through, in each of its rounds; in no order.
select round, phase, began_at, ended_at, outcome, cause, reason
from workspace_build_phases
where workspace_build_id = :build_id;

-- name: list_failures_as_system
-- What went wrong with workspaces whose tasks are in error: what their newest build came to, in which phase a start
-- failed, and what was last seen of the coding agent.
select
    w.id as workspace_id, b.transition, j.error, j.canceled_at is not null as is_canceled, p.phase, p.cause, p.reason,
    o.reason as seen_reason
from unnest(:workspace_ids::uuid[]) as w (id)
cross join lateral (
    select n.id, n.transition, n.job_id from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b
join provisioner_jobs j on j.id = b.job_id
left join lateral (
    select f.phase, f.cause, f.reason from workspace_build_phases f
    where f.workspace_build_id = b.id and f.outcome = 'failed' and f.phase <> 'scripts'
        and f.round = (select max(n.round) from workspace_build_phases n where n.workspace_build_id = b.id)
    order by phase_place(f.phase)
    limit 1
) p on true
left join tasks t on t.workspace_id = w.id
left join task_observed o on o.task_id = t.id;

-- name: list_last_job_lines_as_system
-- The end of a job's log, newest line first.
select output from provisioner_job_logs where job_id = :job_id and output <> '' order by id desc limit :most;

-- name: list_last_agent_lines_as_system
-- The end of what some writers of an agent's log have written, or all others; newest line first.
select l.output
from workspace_agent_logs l
join workspace_agent_log_sources s on s.agent_id = l.agent_id and s.id = l.source_id
where l.agent_id = :agent_id and (s.display_name = any(:sources::text[])) = :of_these
order by l.id desc
limit :most;

-- name: get_last_exit_as_system
-- The item that tells of a task's coding agent's last end; what it says is read elsewhere, as it may be anything.
select data from task_items where task_id = :task_id and kind = 'agent_exit' order by number desc limit 1;

-- name: explain_agent_exit_as_system
-- Why a coding agent ended that did so in the newest round of a start, once that is known.
update workspace_build_phases p
set reason = :reason
where p.workspace_build_id = :build_id and p.outcome = 'failed' and p.cause = 'agent_exited'
    and p.round = (select max(n.round) from workspace_build_phases n where n.workspace_build_id = :build_id);
