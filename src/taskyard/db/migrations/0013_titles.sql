-- A task's display name can be changed, which is told to those who follow it like all that they see of it.

-- Null in events that are older than this column and were not the newest of their tasks.
alter table task_events add column display_name text;

create or replace view task_standing as
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
    case when f.status = 'active' then f.waiting_title end as waiting_title,
    f.display_name
from task_facts f
cross join lateral (
    select f.transition is distinct from 'start' or f.report_created_at > f.build_created_at as counts
) s;

-- As before, with the display name.
create or replace function note_task(wanted uuid) returns void language plpgsql as $$
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
        seen.waiting_title, seen.display_name
    ) is not distinct from (
        now_is.name, now_is.status, now_is.report_state, now_is.report_message, now_is.report_uri, now_is.job_status,
        now_is.agent_lifecycle, now_is.app_health, now_is.build_created_at, now_is.waiting_kind, now_is.waiting_id,
        now_is.waiting_title, now_is.display_name
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
        seen.display_name := now_is.display_name;
    end if;
    insert into task_events (
        task_id, owner_id, organization_id, name, at, deleted, status, report_state, report_message, report_uri,
        report_created_at, job_status, agent_lifecycle, app_health, build_created_at, waiting_kind, waiting_id,
        waiting_title, display_name
    ) values (
        seen.task_id, seen.owner_id, seen.organization_id, seen.name, clock_timestamp(), seen.deleted, seen.status,
        seen.report_state, seen.report_message, seen.report_uri, seen.report_created_at, seen.job_status,
        seen.agent_lifecycle, seen.app_health, seen.build_created_at, seen.waiting_kind, seen.waiting_id,
        seen.waiting_title, seen.display_name
    );
    -- A workspace may report without end. Each event holds all that a client sees, so an old one is a loss to nobody
    -- who wants to know what is; the reaper takes the rest by their age.
    delete from task_events e
    where e.task_id = wanted
        and e.id <= (select k.id from task_events k where k.task_id = wanted order by k.id desc offset 500 limit 1);
    perform pg_notify('taskyard', 'events:' || wanted);
end
$$;

create constraint trigger task_renamed after update of display_name on tasks
    deferrable initially deferred for each row
    when (old.display_name <> new.display_name)
    execute function note_task_of_task();

-- What the next change is compared with: else each task would be told anew, the first time that anything touches it.
update task_events e set display_name = t.display_name
from tasks t
where t.id = e.task_id and e.id = (select max(n.id) from task_events n where n.task_id = t.id);
