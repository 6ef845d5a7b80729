-- name: count_decisions_as_system
-- Adds to what was decided about a workspace's connections; nothing for a workspace that is gone.
insert into workspace_network as n (
    workspace_id, verdict, host, port, method, path, reason, count, first_at, last_at
)
select w.id, d.verdict, d.host, d.port, d.method, d.path, d.reason, d.count, d.first_at, d.last_at
from workspaces w
cross join unnest(
    :verdicts::text[], :hosts::text[], :ports::integer[], :methods::text[], :paths::text[], :reasons::text[],
    :counts::bigint[], :firsts::timestamptz[], :lasts::timestamptz[]
) as d (verdict, host, port, method, path, reason, count, first_at, last_at)
where w.id = :workspace_id
on conflict (workspace_id, verdict, host, port, method, path, reason) do update
set count = n.count + excluded.count, last_at = greatest(n.last_at, excluded.last_at);

-- name: list_decisions_as_system
-- What was decided about a workspace's connections, the newest first.
select verdict, host, port, method, path, reason, count, first_at, last_at
from workspace_network
where workspace_id = :workspace_id
order by last_at desc, host, port, method, path, reason;
