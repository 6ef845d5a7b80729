-- name: get_observation_as_system
-- What was observed of a task's coding agent, what it said of itself, and the newest status that mirrors both with
-- the agent and app it was shown through; of_this_start: it was shown in the newest start, so clients still see it.
select
    o.number, o.generation, o.state, o.session, o.reason, o.waiting_kind, o.waiting_id, o.waiting_title,
    r.number as report_number, r.summary, r.link, r.outcome,
    s.state as shown_state, s.message as shown_message, s.uri as shown_uri, s.agent_id as shown_agent_id,
    s.app_id as shown_app_id, s.of_this_start
from tasks t
left join task_observed o on o.task_id = t.id
left join task_reports r on r.task_id = t.id
left join lateral (
    select
        m.state, m.message, m.uri, m.agent_id, m.app_id, m.created_at > (
            select b.created_at from workspace_builds b
            where b.workspace_id = t.workspace_id and b.transition = 'start'
            order by b.build_number desc
            limit 1
        ) as of_this_start
    from workspace_app_statuses m
    where m.workspace_id = t.workspace_id and m.number is not null
    order by m.place desc
    limit 1
) s on true
where t.id = :task_id;

-- name: get_task_of_workspace_as_system
-- The task of a workspace, live or deleted, with the workspace's generation.
select t.id as task_id, w.generation
from tasks t
join workspaces w on w.id = t.workspace_id
where w.id = :workspace_id;

-- name: upsert_observed_as_system
-- What a task's coding agent does, by the item of that number; an older item changes nothing.
insert into task_observed (
    task_id, number, generation, state, session, reason, waiting_kind, waiting_id, waiting_title, since
) values (
    :task_id, :number, :generation, :state, :session, :reason, :waiting_kind, :waiting_id, :waiting_title, :now
)
on conflict (task_id) do update
set number = excluded.number, generation = excluded.generation, state = excluded.state, session = excluded.session,
    reason = excluded.reason, waiting_kind = excluded.waiting_kind, waiting_id = excluded.waiting_id,
    waiting_title = excluded.waiting_title,
    since = case when task_observed.state = excluded.state then task_observed.since else excluded.since end
where task_observed.number < excluded.number;

-- name: upsert_report_as_system
-- What a task's coding agent says of itself, or that this is void, by the item of that number; an older item changes
-- nothing.
insert into task_reports (task_id, number, summary, link, outcome, at)
values (:task_id, :number, :summary, :link, :outcome, :now)
on conflict (task_id) do update
set number = excluded.number, summary = excluded.summary, link = excluded.link, outcome = excluded.outcome,
    at = excluded.at
where task_reports.number < excluded.number;

-- name: insert_permission_as_system
-- What a coding agent asks to be permitted.
insert into task_permissions (task_id, number, id, generation, title, options, asked_at, expires_at)
values (:task_id, :number, :id, :generation, :title, :options, :now, :expires_at);

-- name: answer_permission_as_system
-- How the newest request of that id was answered; nothing when that was known already, but for who it was.
update task_permissions
set answered_at = coalesce(answered_at, :now), outcome = :outcome, option_id = :option_id,
    answered_by = :answered_by, answerer = :answerer
where task_id = :task_id
    and (
        answered_at is null
        or (
            :answerer::text is not null and answerer is null and answered_by = 'person'
            and option_id is not distinct from :option_id
        )
    )
    and number = (select max(p.number) from task_permissions p where p.task_id = :task_id and p.id = :id);

-- name: close_permissions_as_system
-- Requests that nobody will answer any more, because what asked is over.
update task_permissions
set answered_at = :now, outcome = 'cancelled', answered_by = 'cancel'
where task_id = :task_id and answered_at is null;

-- name: keep_permissions_as_system
-- Open requests of earlier starts are this one's: the coding agent that asked waits in it still.
update task_permissions
set generation = :generation
where task_id = :task_id and answered_at is null and generation < :generation;

-- name: list_permissions_as_system
-- What was asked, newest first, answered requests too on demand; the caller has checked that the task is visible.
select id, title, options, asked_at, expires_at, answered_at, outcome, option_id, answered_by, answerer
from task_permissions
where task_id = :task_id and (:answered or answered_at is null)
order by number desc
limit :limit;

-- name: get_permission_as_system
-- The newest request of that id; the caller has checked that the task is visible.
select id, title, options, asked_at, expires_at, answered_at, outcome, option_id, answered_by, answerer
from task_permissions
where task_id = :task_id and id = :id
order by number desc
limit 1;
