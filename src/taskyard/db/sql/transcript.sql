-- name: lock_workspace_as_system
-- The workspace's generation, how far its items are held, and the phase of its start that items may end; locked until
-- the transaction ends.
select w.generation, w.acked_seq, (
    select p.phase from workspace_build_phases p
    where p.workspace_id = w.id and (p.ended_at is null or (p.phase in ('coding_agent', 'first_prompt') and p.outcome = 'failed'))
    order by p.began_at desc
    limit 1
) as phase, coalesce((select t.item_bytes from tasks t where t.workspace_id = w.id), 0) as item_bytes
from workspaces w
where w.id = :workspace_id
for no key update of w;

-- name: take_numbers_as_system
-- Room for more items at the end of the transcript of a workspace's task, live or deleted; no row without a task.
-- The row stays locked until the transaction ends, so that numbers have no gaps.
update tasks
set last_number = last_number + :count, item_bytes = coalesce(:item_bytes::bigint, item_bytes)
where workspace_id = :workspace_id
returning id as task_id, last_number - :count as before;

-- name: insert_items_as_system
-- Transcript items of one task.
insert into task_items (task_id, number, seq, generation, kind, turn, data, time, stored_at)
select :task_id, i.number, i.seq, i.generation, i.kind, i.turn, i.data::json, i.time, :now
from unnest(
    :numbers::bigint[], :seqs::bigint[], :generations::integer[], :kinds::text[], :turns::integer[], :datas::text[],
    :times::timestamptz[]
) as i (number, seq, generation, kind, turn, data, time);

-- name: set_acked_seq_as_system
-- How far the workspace's items are held now.
update workspaces
set acked_seq = :acked_seq, last_used_at = :now
where id = :workspace_id;

-- name: list_items_as_system
-- Items of a task after a number, in order; the caller has checked that the task is visible.
select number, kind, turn, data, time
from task_items
where task_id = :task_id and number > :after and (:kinds::text[] is null or kind = any(:kinds))
order by number
limit :limit;

-- name: get_end_of_items_as_system
-- The number behind which the newest items of these kinds hold at most so many bytes, 0 when all do, and how many
-- messages are before that: a user message begins two.
select
    coalesce(max(i.number), 0)::bigint as after,
    2 * count(*) filter (where i.kind = 'user_message') as messages_before
from (
    select number, kind, sum(octet_length(data::text)) over (order by number desc) as size
    from task_items
    where task_id = :task_id and kind = any(:kinds)
) i
where i.size > :bytes;

-- name: upsert_snapshot_as_system
-- The one snapshot of a task.
insert into task_snapshots (task_id, format, data, created_at)
values (:task_id, :format, :data, :now)
on conflict (task_id) do update
set format = excluded.format, data = excluded.data, created_at = excluded.created_at;

-- name: get_snapshot_as_system
-- The snapshot of a task; the caller has checked that the task is visible.
select format, data, created_at
from task_snapshots
where task_id = :task_id;

-- name: get_delivery_as_system
-- What decides whether a task's input is to be delivered to its app now; no row unless the agent is of the
-- newest build, a start that succeeded, of a live task. The prompt is the one of this start, else one of an earlier
-- start whose delivery was never confirmed.
select
    t.id as task_id, t.input, b.id as build_id, w.generation, w.id as workspace_id, a.lifecycle,
    app.id as app_id, app.slug, app.url, app.health, v.definition,
    p.id as prompt_id, p.state as prompt_state, p.content as prompt_content, p.of_this_start as prompt_of_this_start,
    p.number as prompt_number, p.after_seq,
    (
        select d.content from task_prompts d
        where d.task_id = t.id and d.source = 'input' and d.state in ('delivered', 'uncertain')
        order by d.place desc
        limit 1
    ) as last_delivered,
    exists (
        select 1 from workspace_app_statuses s
        where s.workspace_id = w.id and s.created_at > b.created_at and s.number is null
    ) as has_report
from workspace_agents a
join workspaces w on w.id = a.workspace_id
join workspace_builds b on b.id = a.workspace_build_id
join tasks t on t.workspace_id = w.id and t.deleted_at is null
join workspace_apps app on app.id = b.app_id
join template_versions v on v.id = b.template_version_id
left join lateral (
    select q.id, q.state, q.content, q.number, q.after_seq, q.workspace_build_id = b.id as of_this_start
    from task_prompts q
    where q.task_id = t.id and q.source = 'input' and (q.workspace_build_id = b.id or q.state = 'sending')
    order by of_this_start desc, q.place desc
    limit 1
) p on true
where a.id = :agent_id and a.generation = w.generation and b.transition = 'start' and b.settled
    and b.build_number = (select max(n.build_number) from workspace_builds n where n.workspace_id = w.id);

-- name: insert_prompt_as_system
-- A task's input, marked before anything of it leaves the server; one for each start.
insert into task_prompts (
    id, task_id, source, workspace_build_id, content, state, created_at, sent_at, after_seq
)
select :id, t.id, 'input', :build_id, :content, 'sending', :now, :now, w.acked_seq
from tasks t
join workspaces w on w.id = t.workspace_id
where t.id = :task_id;

-- name: adopt_prompt_as_system
-- An earlier start's input, never confirmed, is delivered by this start.
update task_prompts
set workspace_build_id = :build_id
where id = :id and state = 'sending';

-- name: confirm_prompt_as_system
-- A prompt stands in the transcript, so it arrived, whatever was thought of it.
update task_prompts
set state = 'delivered', number = :number,
    settled_at = case when state = 'delivered' then settled_at else :now end
where id = :id and task_id = :task_id and number is null and state <> 'waiting';

-- name: settle_prompt_as_system
-- How a delivery ended; nothing when it has ended already.
update task_prompts
set state = :state, error = :error, settled_at = :now
where id = :id and state = 'sending';
