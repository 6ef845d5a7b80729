-- What a task's coding agent does, as our bridge observes it, and what it says of itself: two facts, each with one
-- writer, both by the transcript items that tell them. Words in check constraints are those of the link's items.

-- The newest `state` item of a task. number is the item's own; a lower one never takes the place of a higher.
create table task_observed (
    task_id uuid primary key references tasks (id) on delete cascade,
    number bigint not null check (number >= 1),
    generation integer not null check (generation >= 0),            -- of the workspace that was observed
    state text not null check (state in ('starting', 'working', 'waiting', 'idle', 'failed', 'stopped')),
    session text not null,                                          -- the bridge's own, finer word
    reason text,                                                    -- how the last turn ended, or why it failed
    waiting_kind text,
    waiting_id text,
    waiting_title text,
    since timestamptz not null,                                     -- when the state became this one
    check ((state = 'waiting') = (waiting_kind is not null)),
    check ((waiting_kind is null) = (waiting_id is null) and (waiting_kind is null) = (waiting_title is null))
);

-- The newest `report` item of a task; outcome null: a message that came after it has made it void.
create table task_reports (
    task_id uuid primary key references tasks (id) on delete cascade,
    number bigint not null check (number >= 1),
    summary text not null,
    link text not null,
    outcome text check (outcome in ('working', 'complete', 'failure')),
    at timestamptz not null,
    check (outcome is not null or (summary = '' and link = ''))
);

-- What coding agents asked people to permit, by the items that ask and answer. Open while answered_at is null.
create table task_permissions (
    task_id uuid not null references tasks (id) on delete cascade,
    number bigint not null check (number >= 1),                     -- of the item that asks
    id text not null,                                               -- the bridge's own
    generation integer not null,
    title text not null,
    options json not null,                                          -- [{"option_id", "name", "kind"}]
    asked_at timestamptz not null,
    expires_at timestamptz,                                         -- null: waits for ever
    answered_at timestamptz,
    outcome text check (outcome in ('selected', 'cancelled')),
    option_id text,                                                 -- of the option that was selected
    answered_by text check (answered_by in ('policy', 'person', 'timeout', 'cancel')),
    answerer text,                                                  -- the username of the person
    primary key (task_id, number),
    check ((answered_at is null) = (outcome is null) and (answered_at is null) = (answered_by is null)),
    check ((outcome is not distinct from 'selected') = (option_id is not null))
);
create index task_permissions_open on task_permissions (task_id, number) where answered_at is null;
create index task_permissions_id on task_permissions (task_id, id, number desc);

-- A status that mirrors items: the number of the newest of them, 0 before there is one. Null: a program in the
-- workspace sent it, or the server told of a delivery.
alter table workspace_app_statuses add column number bigint check (number >= 0);

-- The item in which a prompt turned up in the transcript. Null: not seen there yet, or before it was noted.
alter table task_prompts add column number bigint check (number >= 1);

-- As before, with what the task waits for a person to answer, while the workspace that asked is the one that runs.
create or replace view task_facts as
select
    t.id, t.organization_id, t.owner_id, u.username as owner_name, u.avatar_url as owner_avatar_url, t.name,
    t.display_name, t.template_version_id, t.input, t.created_at, t.workspace_id, w.name as workspace_name,
    w.deleted as workspace_deleted, w.updated_at as workspace_updated_at, w.template_id,
    p.name as template_name, p.display_name as template_display_name, p.icon as template_icon,
    b.id as build_id, b.build_number, b.transition, b.created_at as build_created_at,
    b.template_version_id as build_template_version_id,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status,
    a.id as agent_id, a.lifecycle as agent_lifecycle, a.created_at as agent_created_at,
    a.first_connected_at as agent_first_connected_at, a.last_connected_at as agent_last_connected_at,
    a.disconnected_at as agent_disconnected_at, app.id as app_id, app.health as app_health, app.url as app_url,
    s.state as report_state, s.message as report_message, s.uri as report_uri, s.created_at as report_created_at,
    task_status(
        b.transition, job_status(j.started_at, j.completed_at, j.canceled_at, j.error), a.lifecycle, app.health
    ) as status,
    o.waiting_kind, o.waiting_id, o.waiting_title
from tasks t
join users u on u.id = t.owner_id
join workspaces w on w.id = t.workspace_id
join templates p on p.id = w.template_id
left join lateral (
    select n.id, n.build_number, n.transition, n.created_at, n.template_version_id, n.job_id, n.agent_id, n.app_id
    from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b on true
left join provisioner_jobs j on j.id = b.job_id
left join workspace_agents a on a.id = b.agent_id
left join workspace_apps app on app.id = b.app_id
left join lateral (
    select r.state, r.message, r.uri, r.created_at
    from workspace_app_statuses r
    where r.workspace_id = w.id
    order by r.place desc
    limit 1
) s on true
left join lateral (
    select k.waiting_kind, k.waiting_id, k.waiting_title
    from task_observed k
    where k.task_id = t.id and k.generation = w.generation
    limit 1
) o on true
where t.deleted_at is null;
