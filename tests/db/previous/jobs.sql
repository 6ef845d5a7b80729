-- name: insert_job
-- A new job at the end of the queue, free to be claimed at once.
insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, template_version_id, workspace_id, workspace_build_id,
    tags, run_at, created_at, updated_at
) values (
    :id, :kind, :organization_id, :initiator_id, :file_id, :template_version_id, :workspace_id,
    :workspace_build_id, '{}', :now, :now, :now
);

-- name: get_job
-- A job with its place in the queue.
select
    id, type, organization_id, initiator_id, file_id, template_version_id, workspace_id, workspace_build_id,
    tags, attempt, run_at, worker_id, worker_name, lease_expires_at, created_at, updated_at, started_at,
    canceled_at, completed_at, error, error_code, queue_position, queue_size
from job_facts
where id = :job_id;

-- name: take_turn
-- Claims come one after another, so that the limit of running workspaces is never overrun.
select 1 as taken from pg_advisory_xact_lock(:lock);

-- name: claim_job
-- The oldest runnable job of these kinds, leased to this worker until the given time: one that nobody
-- has begun, or whose worker's lease ran out. Jobs of one workspace run in their order. A start that
-- nobody has begun waits while max_running workspaces run. Who has fewer jobs in hand goes first, so that nobody
-- waits for all that somebody else asked for.
with busy as materialized (
    select initiator_id, count(*) as jobs
    from provisioner_jobs
    where completed_at is null and worker_id is not null and lease_expires_at > :now
    group by initiator_id
)
update provisioner_jobs
set worker_id = :worker_id,
    worker_name = :worker_name,
    attempt = attempt + 1,
    started_at = coalesce(started_at, :now),
    lease_expires_at = :lease_expires_at,
    updated_at = :now
where id = (
    select j.id
    from provisioner_jobs j
    left join busy on busy.initiator_id = j.initiator_id
    where j.completed_at is null
        and j.run_at <= :now
        and (j.worker_id is null or j.lease_expires_at <= :now)
        and j.type = any(:kinds)
        and not exists (
            select 1 from provisioner_jobs earlier
            where earlier.workspace_id = j.workspace_id and earlier.completed_at is null and earlier.place < j.place
        )
        and (
            j.type <> 'workspace_build'
            or j.worker_id is not null
            or not exists (
                select 1 from workspace_builds b where b.id = j.workspace_build_id and b.transition = 'start'
            )
            or (
                select count(*)
                from workspaces w
                cross join lateral (
                    select b.transition, b.job_id from workspace_builds b
                    where b.workspace_id = w.id order by b.build_number desc limit 1
                ) newest
                join provisioner_jobs n on n.id = newest.job_id
                where not w.deleted and newest.transition = 'start' and n.started_at is not null
                    and n.error is null and (n.completed_at is null or n.canceled_at is null)
            ) < :max_running
        )
    order by coalesce(busy.jobs, 0), j.place
    limit 1
    for update of j skip locked
)
returning
    id, type, organization_id, initiator_id, file_id, template_version_id, workspace_id, workspace_build_id,
    tags, attempt, run_at, worker_id, worker_name, lease_expires_at, created_at, updated_at, started_at,
    canceled_at, completed_at, error, error_code, 0::bigint as queue_position, 0::bigint as queue_size;

-- name: hold_job
-- The lease, locked until the transaction ends; no row when another worker has it or the job is over. A job
-- that was given back has a lease that ends before it may run again, so that its holder has lost it too.
select canceled_at
from provisioner_jobs
where id = :job_id and attempt = :attempt and worker_id = :worker_id and completed_at is null
    and lease_expires_at > run_at
for update;

-- name: renew_lease
-- The lease, longer, and whether somebody asked to cancel; no row when it was lost.
update provisioner_jobs
set lease_expires_at = :lease_expires_at
where id = :job_id and attempt = :attempt and worker_id = :worker_id and completed_at is null
    and lease_expires_at > run_at
returning canceled_at;

-- name: release_leases
-- What this worker held in an earlier life is free at once.
update provisioner_jobs
set lease_expires_at = :now, updated_at = :now
where worker_id = :worker_id and completed_at is null and lease_expires_at > :now;

-- name: finish_job
-- The job is over; error null means that it was done. No row when the lease was lost.
update provisioner_jobs
set completed_at = :now, updated_at = :now, error = :error, error_code = :error_code
where id = :job_id and attempt = :attempt and worker_id = :worker_id and completed_at is null
    and lease_expires_at > run_at
returning id, workspace_id, workspace_build_id;

-- name: settle_build
-- The build of a job that is over no longer keeps its workspace from being built.
update workspace_builds set settled = true, updated_at = :now where job_id = :job_id;

-- name: touch_workspace_of_job
-- The workspace of a build changes when its job ends; a repair is no change that anybody wished to see.
update workspaces w set updated_at = :now from workspace_builds b where b.job_id = :job_id and w.id = b.workspace_id;

-- name: get_task_of_workspace_as_system
-- The live task of a workspace, to ring for it.
select id from tasks where workspace_id = :workspace_id and deleted_at is null;

-- name: retry_job
-- The job goes back for a later try by any worker. No row changes when the lease was lost.
update provisioner_jobs
set run_at = :run_at, lease_expires_at = :now, updated_at = :now
where id = :job_id and attempt = :attempt and worker_id = :worker_id and completed_at is null
    and lease_expires_at > run_at;

-- name: lock_job
-- What decides whether a job can be canceled, locked until the transaction ends.
select id, workspace_id, workspace_build_id, started_at, canceled_at, completed_at, error
from provisioner_jobs
where id = :job_id
for update;

-- name: cancel_pending_job
-- A job that nobody has begun is over at once.
update provisioner_jobs
set canceled_at = :now, completed_at = :now, updated_at = :now
where id = :job_id;

-- name: cancel_running_job
-- The wish to end a job that a worker has; one that waits for its next try is taken at once.
update provisioner_jobs
set canceled_at = :now, updated_at = :now, run_at = least(run_at, :now)
where id = :job_id;

-- name: append_job_logs
-- Lines for the log of a job, in order.
insert into provisioner_job_logs (job_id, created_at, source, level, stage, output)
select :job_id, l.created_at, l.source, l.level, l.stage, l.output
from unnest(
    :created_ats::timestamptz[], :sources::text[], :levels::text[], :stages::text[], :outputs::text[]
) with ordinality as l (created_at, source, level, stage, output, place)
order by l.place;

-- name: list_job_logs
-- Lines of a job's log behind the given id, oldest first.
select id, created_at, source, level, stage, output
from provisioner_job_logs
where job_id = :job_id and id > :after
order by id;

-- name: get_next_due
-- When the next job of these kinds may become runnable by the clock alone; null when none will.
select min(greatest(run_at, coalesce(lease_expires_at, run_at))) as due
from provisioner_jobs
where completed_at is null and type = any(:kinds)
    and greatest(run_at, coalesce(lease_expires_at, run_at)) > :now;

-- name: drop_waiting_repairs
-- Repairs that nobody works on are pointless once the workspace gets a new build.
update provisioner_jobs
set canceled_at = :now, completed_at = :now, updated_at = :now
where workspace_id = :workspace_id and type = 'workspace_repair' and completed_at is null
    and (lease_expires_at is null or lease_expires_at <= :now);
