-- What changes of tasks are told to those who follow them: one row for each change that a client can see.

-- Written by the triggers below, in the transaction that changed the facts, and by nothing else. Ids are in the order
-- of commits, so that whoever has read to one misses none before it. A row holds facts, of which lifecycle/task.py
-- makes what clients see. It names its task instead of referring to it, because it outlives it.
create table task_events (
    id bigint generated always as identity primary key,
    task_id uuid not null,
    owner_id uuid not null,
    organization_id uuid not null,
    name text not null,
    at timestamptz not null,
    deleted boolean not null,                                       -- the last row of a task: it was deleted
    status text not null,                                           -- as task_status() says; of a deleted one: before
    report_state text,                                              -- the newest report, if it is of the newest start;
    report_message text,                                            -- null together
    report_uri text,
    report_created_at timestamptz,
    job_status text,                                                -- how far a start got, while that is the status
    agent_lifecycle text,
    app_health text,
    build_created_at timestamptz,
    waiting_kind text,                                              -- what it waits for somebody to answer, while active;
    waiting_id text,                                                -- null together
    waiting_title text
);
create index task_events_task on task_events (task_id, id desc);

-- Up to which event some may be missing, because they were too old to be kept. One row.
create table task_events_kept (
    only_row boolean primary key default true check (only_row),
    after bigint not null
);
insert into task_events_kept (after) values (0);

-- What a client sees of each live task, in the columns of task_events. Mirrors derive_current_state and derive_waiting.
create view task_standing as
select
    f.id as task_id, f.owner_id, f.organization_id, f.name, false as deleted, f.status,
    case when s.counts then f.report_state end as report_state,
    case when s.counts then f.report_message end as report_message,
    case when s.counts then f.report_uri end as report_uri,
    case when s.counts then f.report_created_at end as report_created_at,
    case when f.status = 'initializing' then f.job_status end as job_status,
    case when f.status = 'initializing' then f.agent_lifecycle end as agent_lifecycle,
    case when f.status = 'initializing' then f.app_health end as app_health,
    case when f.status = 'initializing' then f.build_created_at end as build_created_at,
    case when f.status = 'active' then f.waiting_kind end as waiting_kind,
    case when f.status = 'active' then f.waiting_id end as waiting_id,
    case when f.status = 'active' then f.waiting_title end as waiting_title
from task_facts f
cross join lateral (
    select f.transition is distinct from 'start' or f.report_created_at > f.build_created_at as counts
) s;

-- Adds an event when a task is not as its newest event says. One transaction at a time, until it is committed: so ids
-- follow commits, and each sees what those before it changed. A report that says the same again is no change.
create function note_task(wanted uuid) returns void language plpgsql as $$
declare
    seen task_events%rowtype;
    found_one boolean;
    now_is task_standing%rowtype;
begin
    -- Once a transaction: all that it changed is there when the first of its triggers runs, at its end.
    if current_setting('taskyard.noted', true) = wanted::text then
        return;
    end if;
    perform set_config('taskyard.noted', wanted::text, true);
    perform pg_advisory_xact_lock(7245005);  -- EVENTS of db/locks.py
    select * into seen from task_events e where e.task_id = wanted order by e.id desc limit 1;
    found_one := found;
    if found_one and seen.deleted then
        return;
    end if;
    select * into now_is from task_standing s where s.task_id = wanted;
    if not found then
        if not found_one then
            return;
        end if;
        seen.deleted := true;
    elsif found_one and (
        seen.name, seen.status, seen.report_state, seen.report_message, seen.report_uri, seen.job_status,
        seen.agent_lifecycle, seen.app_health, seen.build_created_at, seen.waiting_kind, seen.waiting_id,
        seen.waiting_title
    ) is not distinct from (
        now_is.name, now_is.status, now_is.report_state, now_is.report_message, now_is.report_uri, now_is.job_status,
        now_is.agent_lifecycle, now_is.app_health, now_is.build_created_at, now_is.waiting_kind, now_is.waiting_id,
        now_is.waiting_title
    ) then
        return;
    else
        seen.task_id := now_is.task_id;
        seen.owner_id := now_is.owner_id;
        seen.organization_id := now_is.organization_id;
        seen.name := now_is.name;
        seen.deleted := false;
        seen.status := now_is.status;
        seen.report_state := now_is.report_state;
        seen.report_message := now_is.report_message;
        seen.report_uri := now_is.report_uri;
        seen.report_created_at := now_is.report_created_at;
        seen.job_status := now_is.job_status;
        seen.agent_lifecycle := now_is.agent_lifecycle;
        seen.app_health := now_is.app_health;
        seen.build_created_at := now_is.build_created_at;
        seen.waiting_kind := now_is.waiting_kind;
        seen.waiting_id := now_is.waiting_id;
        seen.waiting_title := now_is.waiting_title;
    end if;
    insert into task_events (
        task_id, owner_id, organization_id, name, at, deleted, status, report_state, report_message, report_uri,
        report_created_at, job_status, agent_lifecycle, app_health, build_created_at, waiting_kind, waiting_id,
        waiting_title
    ) values (
        seen.task_id, seen.owner_id, seen.organization_id, seen.name, clock_timestamp(), seen.deleted, seen.status,
        seen.report_state, seen.report_message, seen.report_uri, seen.report_created_at, seen.job_status,
        seen.agent_lifecycle, seen.app_health, seen.build_created_at, seen.waiting_kind, seen.waiting_id,
        seen.waiting_title
    );
    -- A workspace may report without end. Each event holds all that a client sees, so an old one is a loss to nobody
    -- who wants to know what is; the reaper takes the rest by their age.
    delete from task_events e
    where e.task_id = wanted
        and e.id <= (select k.id from task_events k where k.task_id = wanted order by k.id desc offset 500 limit 1);
    perform pg_notify('taskyard', 'events:' || wanted);
end
$$;

-- The triggers' functions: which task a row decides over. They run when the transaction commits.
create function note_task_of_task() returns trigger language plpgsql as $$
begin
    perform note_task(new.id);
    return null;
end
$$;
create function note_task_of_workspace() returns trigger language plpgsql as $$
declare
    wanted uuid;
begin
    select t.id into wanted from tasks t where t.workspace_id = new.workspace_id and t.deleted_at is null;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;
create function note_task_of_generation() returns trigger language plpgsql as $$
declare
    wanted uuid;
begin
    select t.id into wanted from tasks t where t.workspace_id = new.id and t.deleted_at is null;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;
create function note_task_of_app() returns trigger language plpgsql as $$
declare
    wanted uuid;
begin
    select t.id into wanted
    from workspace_agents a
    join tasks t on t.workspace_id = a.workspace_id and t.deleted_at is null
    where a.id = new.agent_id;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;
create function note_task_observed() returns trigger language plpgsql as $$
begin
    perform note_task(new.task_id);
    return null;
end
$$;

-- The conditions are looked at when the row changes: what happens all the time, such as a heartbeat, a lease or the
-- number of an item, costs a comparison or nothing.
create constraint trigger task_made after insert on tasks
    deferrable initially deferred for each row execute function note_task_of_task();
create constraint trigger task_changed after update of name, deleted_at on tasks
    deferrable initially deferred for each row
    when ((old.name, old.deleted_at) is distinct from (new.name, new.deleted_at))
    execute function note_task_of_task();
create constraint trigger task_build_made after insert on workspace_builds
    deferrable initially deferred for each row execute function note_task_of_workspace();
create constraint trigger task_build_changed after update of agent_id, app_id on workspace_builds
    deferrable initially deferred for each row
    when ((old.agent_id, old.app_id) is distinct from (new.agent_id, new.app_id))
    execute function note_task_of_workspace();
create constraint trigger task_job_changed
    after update of started_at, completed_at, canceled_at, error on provisioner_jobs
    deferrable initially deferred for each row
    when (
        new.type = 'workspace_build'
        and job_status(old.started_at, old.completed_at, old.canceled_at, old.error)
            <> job_status(new.started_at, new.completed_at, new.canceled_at, new.error)
    )
    execute function note_task_of_workspace();
create constraint trigger task_agent_changed after update of lifecycle on workspace_agents
    deferrable initially deferred for each row
    when (old.lifecycle <> new.lifecycle)
    execute function note_task_of_workspace();
create constraint trigger task_app_changed after update of health on workspace_apps
    deferrable initially deferred for each row
    when (old.health <> new.health)
    execute function note_task_of_app();
create constraint trigger task_reported after insert on workspace_app_statuses
    deferrable initially deferred for each row execute function note_task_of_workspace();
create constraint trigger task_observed_first after insert on task_observed
    deferrable initially deferred for each row
    when (new.waiting_kind is not null)
    execute function note_task_observed();
create constraint trigger task_observed_changed after update on task_observed
    deferrable initially deferred for each row
    when (
        (old.generation, old.waiting_kind, old.waiting_id, old.waiting_title)
            is distinct from (new.generation, new.waiting_kind, new.waiting_id, new.waiting_title)
        and (old.waiting_kind is not null or new.waiting_kind is not null)
    )
    execute function note_task_observed();
create constraint trigger task_generation_changed after update of generation on workspaces
    deferrable initially deferred for each row
    when (old.generation <> new.generation)
    execute function note_task_of_generation();

-- Those who follow a task begin with its newest event: every live task has one from here on.
insert into task_events (
    task_id, owner_id, organization_id, name, at, deleted, status, report_state, report_message, report_uri,
    report_created_at, job_status, agent_lifecycle, app_health, build_created_at, waiting_kind, waiting_id, waiting_title
)
select
    s.task_id, s.owner_id, s.organization_id, s.name, clock_timestamp(), s.deleted, s.status, s.report_state,
    s.report_message, s.report_uri, s.report_created_at, s.job_status, s.agent_lifecycle, s.app_health,
    s.build_created_at, s.waiting_kind, s.waiting_id, s.waiting_title
from task_standing s;
