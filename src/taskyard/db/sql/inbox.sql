-- name: lock_task_as_system
-- A live task, locked until the transaction ends: its prompts keep their order meanwhile, and no item is stored.
select id as task_id
from tasks
where id = :task_id and deleted_at is null
for no key update;

-- name: count_waiting_as_system
-- How many prompts of a task wait, and their bytes.
select count(*) as prompts, coalesce(sum(octet_length(content)), 0)::bigint as bytes
from task_prompts
where task_id = :task_id and source = 'queue' and state = 'waiting';

-- name: insert_queued_as_system
-- A prompt behind all that wait; the caller holds the task.
insert into task_prompts (id, task_id, source, content, state, created_at, created_by)
values (:id, :task_id, 'queue', :content, 'waiting', :now, :created_by);

-- name: list_prompts_as_system
-- Prompts of a task, the caller has checked that it is visible: what is under way, those that wait in their order,
-- then the newest others, of each no more than its first characters. position counts those that wait, from 1.
select
    f.id, f.source, f.state, f.content, f.created_at, f.created_by, f.sent_at, f.settled_at, f.error, f.number,
    f.position, f.is_cut
from (
    select
        p.id, p.source, p.state, p.content, p.created_at, u.username as created_by, p.sent_at, p.settled_at, p.error,
        p.number, p.place,
        case when p.state = 'waiting' then
            row_number() over (partition by p.state order by p.place)
        end as position,
        false as is_cut
    from task_prompts p
    left join users u on u.id = p.created_by
    where p.task_id = :task_id and p.state in ('waiting', 'sending')
    union all
    (
        select
            p.id, p.source, p.state, left(p.content, :settled_chars), p.created_at, u.username as created_by,
            p.sent_at, p.settled_at, p.error, p.number, p.place, null as position,
            char_length(p.content) > :settled_chars as is_cut
        from task_prompts p
        left join users u on u.id = p.created_by
        where p.task_id = :task_id and p.settled_at is not null
        order by p.settled_at desc, p.place desc
        limit :settled
    )
) f
order by f.settled_at desc nulls first, f.position nulls first, f.place desc;

-- name: get_prompt_as_system
-- One prompt of a task, whole.
select
    p.id, p.source, p.state, p.content, p.created_at, u.username as created_by, p.sent_at, p.settled_at, p.error,
    p.number,
    case when p.state = 'waiting' then (
        select count(*) from task_prompts q
        where q.task_id = p.task_id and q.state = 'waiting' and q.place <= p.place
    ) end as position,
    false as is_cut
from task_prompts p
left join users u on u.id = p.created_by
where p.task_id = :task_id and p.id = :id;

-- name: list_places_as_system
-- The prompts that wait, in their order.
select id, place
from task_prompts
where task_id = :task_id and source = 'queue' and state = 'waiting'
order by place;

-- name: set_place_as_system
-- Another place for a prompt that waits.
update task_prompts
set place = :place
where id = :id and state = 'waiting';

-- name: set_content_as_system
-- Another text for a prompt that waits.
update task_prompts
set content = :content
where id = :id and state = 'waiting';

-- name: delete_waiting_as_system
-- Takes a prompt back that waits.
delete from task_prompts
where id = :id and task_id = :task_id and state = 'waiting';

-- name: has_open_prompts_as_system
-- Whether a task has queued prompts whose fate is open.
select exists (
    select 1 from task_prompts p
    where p.task_id = :task_id and p.source = 'queue' and p.state in ('waiting', 'sending')
) as has_open;

-- name: get_queue_head_as_system
-- The queued prompt whose turn it is, with what decides whether it goes out through this agent: no row unless the
-- agent is of the newest build, a start that succeeded, of a live task, and a prompt waits or is under way.
-- is_idle: the coding agent of this generation was last seen idle, after all that it was given; so is one that
-- was started again after it had died in a turn, but not one whose turn ended in an error. is_held: another
-- prompt is under way. is_new: one was taken, and what it makes of it was not seen yet.
select
    t.id as task_id, w.id as workspace_id, b.id as build_id, w.acked_seq, a.lifecycle, app.health, app.slug, app.url,
    v.definition, p.id as prompt_id, p.state as prompt_state, p.content, p.after_seq,
    coalesce(
        o.generation = w.generation
        and (o.state = 'idle' or o.state = 'failed' and o.session = 'idle' and e.is_exit)
        and o.number > coalesce((select max(d.number) from task_prompts d where d.task_id = t.id), 0),
        false
    ) as is_idle,
    exists (
        select 1 from task_prompts s where s.task_id = t.id and s.id <> p.id and s.state = 'sending'
    ) as is_held,
    exists (
        select 1 from task_prompts s
        where s.task_id = t.id and s.state = 'delivered' and s.number is null
            and s.settled_at > greatest(:unseen_since, b.created_at)
    ) as is_new
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join workspace_builds b on b.id = a.workspace_build_id
join tasks t on t.workspace_id = w.id and t.deleted_at is null
join workspace_apps app on app.id = b.app_id
join template_versions v on v.id = b.template_version_id
join lateral (
    select q.id, q.state, q.content, q.after_seq
    from task_prompts q
    where q.task_id = t.id and q.source = 'queue' and q.state in ('waiting', 'sending')
    order by q.state = 'waiting', q.place
    limit 1
) p on true
left join task_observed o on o.task_id = t.id
left join lateral (
    select i.data::text ~ '"reason"\s*:\s*"agent_exit"' as is_exit
    from task_items i
    where i.task_id = t.id and i.kind = 'turn_end' and o.state = 'failed'
    order by i.number desc
    limit 1
) e on true
where a.id = :agent_id and a.generation = w.generation and a.generation = :generation and b.transition = 'start'
    and b.settled
    and b.build_number = (select max(n.build_number) from workspace_builds n where n.workspace_id = w.id);

-- name: ended_in_exit_as_system
-- Whether the last turn of a task ended because its coding agent died, and another one is there.
select exists (
    select 1
    from task_observed o
    join lateral (
        select i.data::text ~ '"reason"\s*:\s*"agent_exit"' as is_exit
        from task_items i
        where i.task_id = o.task_id and i.kind = 'turn_end'
        order by i.number desc
        limit 1
    ) e on e.is_exit
    where o.task_id = :task_id and o.state = 'failed' and o.session = 'idle'
) as is_exit;

-- name: mark_sending_as_system
-- A prompt is on its way from now on; the caller holds the task.
update task_prompts
set state = 'sending', sent_at = :now, after_seq = :after_seq
where id = :id and state = 'waiting';

-- name: put_back_as_system
-- A prompt that certainly did not arrive waits again, where it did.
update task_prompts
set state = 'waiting', sent_at = null, after_seq = null
where id = :id and state = 'sending' and source = 'queue';
