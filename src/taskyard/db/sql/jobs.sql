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
-- nobody has begun waits while max_running workspaces take room, or as many of its owner or organization as those
-- may have: by their own limits, else by max_per_user and max_per_organization, where null is no limit. Who has fewer
-- jobs in hand goes first, so that nobody waits for all that somebody else asked for. A workspace is worked on where
-- its files are, host_id; anywhere before its first start, and where it is only given up. Times that lie further ahead
-- than any job of ours waits or is leased were written before the clock was set back, and count for nothing. What the
-- worker has in hand itself is not taken from it by a clock that was set forward.
with busy as materialized (
    select initiator_id, count(*) as jobs
    from provisioner_jobs
    where completed_at is null and worker_id is not null and lease_expires_at > :now
    group by initiator_id
), room as materialized (
    select workspace_id, owner_id, organization_id, host_id from workspaces_with_room
), full_owners as materialized (
    select room.owner_id
    from room
    join users u on u.id = room.owner_id
    group by room.owner_id, u.max_running
    having count(*) >= coalesce(u.max_running, :max_per_user::integer)
), full_organizations as materialized (
    select room.organization_id
    from room
    join organizations g on g.id = room.organization_id
    group by room.organization_id, g.max_running
    having count(*) >= coalesce(g.max_running, :max_per_organization::integer)
)
update provisioner_jobs
set worker_id = :worker_id,
    worker_name = :worker_name,
    attempt = attempt + 1,
    started_at = coalesce(started_at, :now),
    run_at = least(run_at, :now),
    lease_expires_at = :lease_expires_at,
    updated_at = :now
where id = (
    select j.id
    from provisioner_jobs j
    left join busy on busy.initiator_id = j.initiator_id
    left join workspace_builds b on b.id = j.workspace_build_id
    left join workspaces w on w.id = j.workspace_id
    where j.completed_at is null
        and (j.run_at <= :now or j.run_at > :now::timestamptz + interval '5 minutes')
        and (
            j.worker_id is null
            or j.lease_expires_at <= :now
            or j.lease_expires_at - :lease_expires_at::timestamptz
                > :lease_expires_at::timestamptz - :now::timestamptz + interval '5 minutes'
        )
        and j.id <> all(:in_hand::uuid[])
        and j.type = any(:kinds)
        and not exists (
            select 1 from provisioner_jobs earlier
            where earlier.workspace_id = j.workspace_id and earlier.completed_at is null and earlier.place < j.place
        )
        and (
            w.host_id is null
            or w.host_id = :host_id
            or (
                b.transition = 'delete'
                and (b.orphan or b.force and not exists (
                    select 1 from servers s where s.host_id = w.host_id and s.seen_at > now() - :alive::interval
                ))
            )
        )
        and (
            j.type <> 'workspace_build'
            or j.worker_id is not null
            or b.transition <> 'start'
            or (
                (select count(*) from room where coalesce(room.host_id, :host_id) = :host_id) < :max_running
                and w.owner_id not in (select owner_id from full_owners)
                and w.organization_id not in (select organization_id from full_organizations)
            )
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
set lease_expires_at = :lease_expires_at,
    run_at = least(run_at, :lease_expires_at::timestamptz - interval '1 second') -- also after the clock was set back
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

-- name: list_waiting_starts
-- Every start that nobody has begun, with what it waits for: its owner's limit, its organization's, or a place on
-- the server. Its position counts among those that wait for the same, oldest first. What takes room is counted only
-- where anybody has a limit.
with room as materialized (
    select workspace_id, owner_id, organization_id
    from workspaces_with_room
    where :max_per_user::integer is not null
        or :max_per_organization::integer is not null
        or (select exists (select 1 from users where max_running is not null))
        or (select exists (select 1 from organizations where max_running is not null))
), of_users as (
    select owner_id, count(*) as places from room group by owner_id
), of_organizations as (
    select organization_id, count(*) as places from room group by organization_id
), waiting as (
    select
        j.workspace_id, j.place, w.owner_id, w.organization_id,
        coalesce(u.max_running, :max_per_user::integer) as user_limit,
        coalesce(g.max_running, :max_per_organization::integer) as organization_limit,
        coalesce(of_users.places, 0) + row_number() over (partition by w.owner_id order by j.place) as of_user,
        coalesce(of_organizations.places, 0) as of_organization
    from provisioner_jobs j
    join workspace_builds b on b.id = j.workspace_build_id and b.transition = 'start'
    join workspaces w on w.id = j.workspace_id
    join users u on u.id = w.owner_id
    join organizations g on g.id = w.organization_id
    left join of_users on of_users.owner_id = w.owner_id
    left join of_organizations on of_organizations.organization_id = w.organization_id
    where j.completed_at is null and j.started_at is null and j.type = 'workspace_build'
), counted as (
    -- Those that wait for their owner's limit keep nobody else of the organization waiting.
    select
        workspace_id, place, owner_id, organization_id, user_limit, organization_limit,
        coalesce(of_user > user_limit, false) as of_user,
        of_organization + row_number() over (
            partition by organization_id, coalesce(of_user > user_limit, false) order by place
        ) as of_organization
    from waiting
), reasoned as (
    select
        workspace_id, place, owner_id, organization_id, user_limit, organization_limit,
        case
            when of_user then 'user'
            when of_organization > organization_limit then 'organization'
            else 'server'
        end as reason
    from counted
), placed as (
    select
        workspace_id, reason,
        case reason when 'user' then user_limit when 'organization' then organization_limit end as most,
        row_number() over (same order by place) as position,
        count(*) over same as size
    from reasoned
    window same as (
        partition by reason, case reason when 'user' then owner_id when 'organization' then organization_id end
    )
)
select workspace_id, reason, most, position, size
from placed
where workspace_id = any(:workspace_ids);
