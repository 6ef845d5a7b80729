-- name: get_end_as_system
-- How far a task's transcript and its events go, both as of one moment; no row for a task that is not there.
select t.last_number as item, coalesce((select max(e.id) from task_events e where e.task_id = t.id), 0) as event
from tasks t
where t.id = :task_id;

-- name: get_end_of_events_as_system
-- The newest event of all, 0 before there is one, and the one up to which some may be missing.
select
    greatest(coalesce((select max(e.id) from task_events e), 0), k.after)::bigint as event, k.after as missing_to
from task_events_kept k;

-- name: list_task_events_as_system
-- Events of one task after one of them and up to another, in order.
select
    e.id, e.task_id, e.owner_id, u.username as owner_name, e.organization_id, e.name, e.at, e.deleted, e.status,
    e.report_state, e.report_message, e.report_uri, e.report_created_at, e.job_status, e.agent_lifecycle, e.app_health,
    e.build_created_at, e.waiting_kind, e.waiting_id, e.waiting_title, e.display_name
from task_events e
join users u on u.id = e.owner_id
where e.task_id = :task_id and e.id > :after and e.id <= :until
order by e.id
limit :limit;

-- name: list_events
-- Events of all tasks that the viewer may see, after one of them and up to another, in order.
select
    e.id, e.task_id, e.owner_id, u.username as owner_name, e.organization_id, e.name, e.at, e.deleted, e.status,
    e.report_state, e.report_message, e.report_uri, e.report_created_at, e.job_status, e.agent_lifecycle, e.app_health,
    e.build_created_at, e.waiting_kind, e.waiting_id, e.waiting_title, e.display_name
from task_events e
join users u on u.id = e.owner_id
where e.id > :after and e.id <= :until
    and (:viewer_all or e.owner_id = :viewer_id or e.organization_id = any(:viewer_orgs))
order by e.id
limit :limit;

-- name: list_transcript_as_system
-- Items of a task between two numbers, in order: as many as are asked for, as long as those before one have fewer
-- bytes than given. One after another, so that no more of them is read than that: an item may have a megabyte.
-- found: how many there were before bytes counted; the caller has checked that the task is visible.
with recursive page (place, number, kind, turn, data, time, stored_at, size) as (
    select 0::bigint, :after::bigint, null::text, null::integer, null::json, null::timestamptz, null::timestamptz, 0::bigint
    union all
    select
        p.place + 1, n.number, n.kind, n.turn, n.data, n.time, n.stored_at, p.size + octet_length(n.data::text)
    from page p
    cross join lateral (
        select i.number, i.kind, i.turn, i.data, i.time, i.stored_at
        from task_items i
        where i.task_id = :task_id and i.number > p.number and i.number < :before
            and (:kinds::text[] is null or i.kind = any(:kinds))
        order by i.number
        limit 1
    ) n
    where p.place < :limit and p.size < :bytes
)
select
    p.number, p.kind, p.turn, p.data, p.time, p.stored_at, (
        select count(*)
        from (
            select
            from task_items i
            where i.task_id = :task_id and i.number > :after and i.number < :before
                and (:kinds::text[] is null or i.kind = any(:kinds))
            limit :limit
        ) f
    ) as found
from page p
where p.place > 0
order by p.number;

-- name: list_end_of_transcript_as_system
-- The same from the other end: the newest items before a number, in order.
with recursive page (place, number, kind, turn, data, time, stored_at, size) as (
    select 0::bigint, :before::bigint, null::text, null::integer, null::json, null::timestamptz, null::timestamptz, 0::bigint
    union all
    select
        p.place + 1, n.number, n.kind, n.turn, n.data, n.time, n.stored_at, p.size + octet_length(n.data::text)
    from page p
    cross join lateral (
        select i.number, i.kind, i.turn, i.data, i.time, i.stored_at
        from task_items i
        where i.task_id = :task_id and i.number < p.number and i.number > :after
            and (:kinds::text[] is null or i.kind = any(:kinds))
        order by i.number desc
        limit 1
    ) n
    where p.place < :limit and p.size < :bytes
)
select
    p.number, p.kind, p.turn, p.data, p.time, p.stored_at, (
        select count(*)
        from (
            select
            from task_items i
            where i.task_id = :task_id and i.number > :after and i.number < :before
                and (:kinds::text[] is null or i.kind = any(:kinds))
            limit :limit
        ) f
    ) as found
from page p
where p.place > 0
order by p.number;

-- name: get_deleted_task
-- A deleted task whose transcript the viewer may still see: by its id only, because its name may be another's by now.
select id, owner_id, organization_id, name
from tasks
where id = :task_id and deleted_at is not null
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));
