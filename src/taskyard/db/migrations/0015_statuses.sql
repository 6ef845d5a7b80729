-- A list of tasks of one status is read by an index, however few or many have it.

-- The status of each live task as its newest event has it, to find tasks by: what a task shows is derived from its facts.
-- Written by the trigger below, in the transaction that changed the facts, and by nothing else.
-- A key of both columns, though an id alone is one: by it Postgres knows that each status belongs to one task, where it
-- would take the two comparisons of a join for independent, and read everything.
create unique index tasks_made on tasks (id, created_at);
create table task_statuses (
    task_id uuid primary key,
    created_at timestamptz not null,                                -- of the task
    status text not null,                                           -- as task_status() says
    foreign key (task_id, created_at) references tasks (id, created_at) on update cascade on delete cascade
);
create index task_statuses_newest on task_statuses (status, created_at desc, task_id desc);

create function keep_task_status() returns trigger language plpgsql as $$
begin
    if new.deleted then
        delete from task_statuses s where s.task_id = new.task_id;
    else
        insert into task_statuses as s (task_id, created_at, status)
        select t.id, t.created_at, new.status from tasks t where t.id = new.task_id
        on conflict (task_id) do update set status = excluded.status where s.status <> excluded.status;
    end if;
    return null;
end
$$;
create trigger task_event_added after insert on task_events for each row execute function keep_task_status();

-- As before, with the status that tasks are found by. The times are compared so that the index gives the order of a list.
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
    o.waiting_kind, o.waiting_id, o.waiting_title, k.status as noted_status
from tasks t
left join task_statuses k on k.task_id = t.id and k.created_at = t.created_at
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
    select q.waiting_kind, q.waiting_id, q.waiting_title
    from task_observed q
    where q.task_id = t.id and q.generation = w.generation
    limit 1
) o on true
where t.deleted_at is null;

insert into task_statuses (task_id, created_at, status) select id, created_at, status from task_facts;
