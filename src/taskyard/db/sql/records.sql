-- name: settle_builds_of_ended_jobs
-- A build whose job is over keeps its workspace from being built no longer; both are written together, so there is
-- none but by a fault, or by somebody's hand.
update workspace_builds b
set settled = true, updated_at = :now
from provisioner_jobs j
where j.id = b.job_id and not b.settled and j.completed_at is not null
returning b.id;

-- name: end_jobs_of_settled_builds
-- A job whose build is settled has nothing left to do; one that a worker holds is ended by that.
update provisioner_jobs j
set completed_at = :now, updated_at = :now, error = :error
from workspace_builds b
where b.job_id = j.id and b.settled and j.completed_at is null
    and (j.lease_expires_at is null or j.lease_expires_at <= :now)
returning j.id;

-- name: free_agents_of_dead_servers
-- Agents whose link was held by a server that is gone have none, until they call the next one. One that missed two
-- heartbeats was not heard by any server, of whatever release.
update workspace_agents a
set server_id = null, disconnected_at = greatest(a.last_connected_at, :now), updated_at = :now
where a.server_id is not null and a.last_connected_at <= :silent_since
    and not exists (
        select 1 from servers s where s.id = a.server_id and s.seen_at > now() - :alive::interval
    )
returning a.id;

-- name: close_permissions_of_ended_starts
-- Nobody waits any more for the answer to what an earlier start's coding agent asked. While the newest start has told
-- nothing yet, what asked may go on in it, as its processes were frozen.
update task_permissions p
set answered_at = :now, outcome = 'cancelled', answered_by = 'cancel'
from tasks t
join workspaces w on w.id = t.workspace_id
where t.id = p.task_id and p.answered_at is null
    and (
        w.deleted
        or p.generation < w.generation
            and exists (select from task_observed o where o.task_id = t.id and o.generation >= w.generation)
    )
returning p.task_id as id;

-- name: list_stuck_prompts
-- Prompts that were marked as on their way to a start that has ended since, some time ago.
select p.id, p.task_id
from task_prompts p
join tasks t on t.id = p.task_id
cross join lateral (
    select b.transition, b.job_id, b.created_at from workspace_builds b
    where b.workspace_id = t.workspace_id order by b.build_number desc limit 1
) newest
join provisioner_jobs j on j.id = newest.job_id
where p.state = 'sending' and p.sent_at <= :before
    and (newest.transition <> 'start' or newest.created_at > p.sent_at)
    and j.completed_at <= :before;

-- name: list_silent_agents
-- Workspaces of a data directory that were started a while ago and whose agent never called; not those whose job's
-- log says so already.
select a.workspace_id
from workspace_agents a
join workspaces w on w.id = a.workspace_id and not w.deleted and w.host_id = :host_id
join workspace_builds b on b.id = a.workspace_build_id
join provisioner_jobs j on j.id = b.job_id
where a.lifecycle = 'created' and a.first_connected_at is null and a.generation = w.generation
    and a.updated_at <= :before and j.completed_at <= :before and j.error is null and j.canceled_at is null
    and b.build_number = (select max(n.build_number) from workspace_builds n where n.workspace_id = w.id)
    and b.transition = 'start'
    and not exists (select 1 from provisioner_job_logs l where l.job_id = j.id and l.stage = :stage);

-- name: get_last_failed_repair
-- When the newest repair of a workspace failed; null when it did not.
select case when j.error is not null then j.completed_at end as due
from provisioner_jobs j
where j.workspace_id = :workspace_id and j.type = 'workspace_repair'
order by j.place desc
limit 1;
