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
-- Claims come one after another, so that the limit of running workspaces is never overrun. A claim is planned once for
-- all its values: to plan it takes as long as to run it.
select 1 as taken
from set_config('plan_cache_mode', 'force_generic_plan', true), pg_advisory_xact_lock(:lock);

-- name: claim_job
-- The oldest runnable job of these kinds, leased to this worker until the given time: one that nobody
-- has begun, or whose worker's lease ran out. Jobs of one workspace run in their order. A start that
-- nobody has begun waits while max_running workspaces take room, or as many of its owner or organization as those
-- may have: by their own limits, else by max_per_user and max_per_organization, where null is no limit; not if its
-- workspace takes room already. Who has fewer
-- jobs in hand goes first, so that nobody waits for all that somebody else asked for. A workspace is worked on where
-- its files are, host_id, which an older release left out when there was one data directory; anywhere before its
-- first start, and where it is only given up. Times that lie further ahead
-- than any job of ours waits or is leased were written before the clock was set back, and count for nothing. What the
-- worker has in hand itself is not taken from it by a clock that was set forward.
-- Of jobs that wait, be they ten thousand, the first of each initiator are looked at, and the first start of each
-- initiator, owner and organization: the two lists of these skip through an index. Starts that wait for room are looked
-- at only where there is some.
with recursive busy as materialized (
    select initiator_id, count(*) as jobs
    from provisioner_jobs
    where completed_at is null and not for_room and worker_id is not null and lease_expires_at > :now
    group by initiator_id
), askers as (
    (
        select initiator_id, place from provisioner_jobs
        where completed_at is null and not for_room
        order by initiator_id, place
        limit 1
    )
    union all
    select next.initiator_id, next.place
    from askers
    cross join lateral (
        select j.initiator_id, j.place from provisioner_jobs j
        where j.completed_at is null and not j.for_room and j.initiator_id > askers.initiator_id
        order by j.initiator_id, j.place
        limit 1
    ) next
), askers_in_turn as (
    select askers.initiator_id, askers.place, coalesce(busy.jobs, 0) as in_hand
    from askers
    left join busy on busy.initiator_id = askers.initiator_id
    order by coalesce(busy.jobs, 0), askers.place
), ready as (
    select first.id, first.attempt, first.lease_expires_at, askers_in_turn.in_hand, first.place
    from askers_in_turn
    cross join lateral (
        select j.id, j.attempt, j.lease_expires_at, j.place
        from provisioner_jobs j
        where j.completed_at is null and not j.for_room and j.initiator_id = askers_in_turn.initiator_id
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
                j.workspace_id is null
                or (
                    select
                        coalesce(home.host_id, :host_id) = :host_id
                        or (
                            b.transition = 'delete'
                            and (b.orphan or b.force and not exists (
                                select 1 from servers s
                                where s.host_id = home.host_id and s.seen_at > now() - :alive::interval
                            ))
                        )
                    from workspaces w
                    join workspace_builds b on b.id = j.workspace_build_id
                    cross join lateral (select home_of(w.host_id, w.driver) as host_id) home
                    where w.id = j.workspace_id
                )
            )
        order by j.place
        limit 2
    ) first
    order by askers_in_turn.in_hand, askers_in_turn.place
    limit 16
), taken_here as materialized (
    select count(*) as places
    from (
        (select from workspace_room where taken and host_id = :host_id limit :max_running)
        union all
        (select from workspace_room where taken and host_id is null limit :max_running)
    ) t
), waiting as (
    (
        select initiator_id, owner_id, organization_id from workspace_room
        where waits is not null and (select places from taken_here) < :max_running and 'workspace_build' = any(:kinds)
        order by initiator_id, owner_id, organization_id
        limit 1
    )
    union all
    select next.initiator_id, next.owner_id, next.organization_id
    from waiting
    cross join lateral (
        select r.initiator_id, r.owner_id, r.organization_id from workspace_room r
        where r.waits is not null
            and (r.initiator_id, r.owner_id, r.organization_id)
                > (waiting.initiator_id, waiting.owner_id, waiting.organization_id)
        order by r.initiator_id, r.owner_id, r.organization_id
        limit 1
    ) next
), full_organizations as materialized (
    select g.id
    from (select distinct organization_id from waiting) o
    cross join lateral (
        select id, coalesce(max_running, :max_per_organization::integer) as most
        from organizations
        where id = o.organization_id
        offset 0 -- counted for these organizations alone
    ) g
    where g.most <= (
        select count(*)
        from (
            select from workspace_room t
            where t.taken and t.organization_id = g.id
            order by t.owner_id -- as the index has them
            limit coalesce(g.most, 0)
        ) t
    )
), in_turn as (
    select waiting.*, first.waits as place, coalesce(busy.jobs, 0) as in_hand
    from waiting
    left join busy on busy.initiator_id = waiting.initiator_id
    cross join lateral (
        select r.waits from workspace_room r
        where r.waits is not null and r.initiator_id = waiting.initiator_id and r.owner_id = waiting.owner_id
            and r.organization_id = waiting.organization_id and coalesce(r.host_id, :host_id) = :host_id
        order by r.waits
        limit 1
    ) first
    where waiting.organization_id not in (select id from full_organizations)
    order by coalesce(busy.jobs, 0), first.waits
), starts as (
    select first.id, first.attempt, first.lease_expires_at, in_turn.in_hand, first.place
    from in_turn
    cross join lateral (
        select 1 from users u
        where u.id = in_turn.owner_id and coalesce(u.max_running, :max_per_user::integer, 2147483647) > (
            select count(*)
            from (
                select from workspace_room t
                where t.taken and t.owner_id = in_turn.owner_id
                order by t.organization_id -- as the index has them
                limit case when u.max_running is null and :max_per_user::integer is null then 0
                    else coalesce(u.max_running, :max_per_user::integer) end
            ) t
        )
        offset 0 -- counted for those in turn alone
    ) has_room
    cross join lateral (
        select j.id, j.attempt, j.lease_expires_at, j.place
        from workspace_room r
        join provisioner_jobs j on j.workspace_id = r.workspace_id and j.place = r.waits
        where r.waits is not null and r.initiator_id = in_turn.initiator_id and r.owner_id = in_turn.owner_id
            and r.organization_id = in_turn.organization_id and coalesce(r.host_id, :host_id) = :host_id
            and j.for_room and j.completed_at is null
            and (j.run_at <= :now or j.run_at > :now::timestamptz + interval '5 minutes')
            and not exists (
                select 1 from provisioner_jobs earlier
                where earlier.workspace_id = j.workspace_id and earlier.completed_at is null and earlier.place < j.place
            )
        order by r.waits
        limit 1
    ) first
    order by in_turn.in_hand, in_turn.place
    limit 8
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
    from (select * from ready union all select * from starts) found
    join provisioner_jobs j on j.id = found.id
    where j.completed_at is null and j.attempt = found.attempt
        and j.lease_expires_at is not distinct from found.lease_expires_at
    order by found.in_hand, found.place
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

-- name: ring_changed_as_system
-- Rings with these payloads, and for the live task of the workspace.
select count(pg_notify(:channel, payload)) as rung
from (
    select unnest(:payloads::text[])
    union all
    select 'task:' || id from tasks where workspace_id = :workspace_id and deleted_at is null
) as r (payload);

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
-- Repairs that nobody works on are pointless once the workspace gets a new build. One that is just being ended is left
-- alone: who ends it waits for the workspace, which is locked here, and sees then that it is of an older build.
update provisioner_jobs
set canceled_at = :now, completed_at = :now, updated_at = :now
where id in (
    select id from provisioner_jobs
    where workspace_id = :workspace_id and type = 'workspace_repair' and completed_at is null
        and (lease_expires_at is null or lease_expires_at <= :now)
    for update skip locked
);

-- name: free_room
-- What the build had started is certainly ended; nothing if there is a later build, which has what it took.
delete from workspace_room r
where r.workspace_id = :workspace_id
    and not exists (
        select 1 from workspace_builds b join workspace_builds n on n.workspace_id = b.workspace_id
        where b.id = :build_id and n.build_number > b.build_number
    );

-- name: keep_room
-- What stands still takes as much room as what runs: its memory is not free.
insert into workspace_room (workspace_id, owner_id, organization_id, host_id, taken)
select w.id, w.owner_id, w.organization_id, home_of(w.host_id, w.driver), true
from workspaces w
where w.id = :workspace_id and not w.deleted
on conflict (workspace_id) do update set taken = true;

-- name: list_waiting_starts
-- Every start that nobody has begun, with what it waits for: its owner's limit, its organization's, or a place on
-- the server; null ids mean all of them. Its position counts among those that wait for the same, oldest first. What
-- takes room is counted only where anybody has a limit.
with of_users as materialized (
    select owner_id, count(*) as places
    from workspace_room
    where taken
        and (:max_per_user::integer is not null or (select exists (select 1 from users where max_running is not null)))
    group by owner_id
), of_organizations as materialized (
    select organization_id, count(*) as places
    from workspace_room
    where taken and (
        :max_per_organization::integer is not null
        or (select exists (select 1 from organizations where max_running is not null))
    )
    group by organization_id
), waiting as (
    select
        r.workspace_id, r.waits as place, r.owner_id, r.organization_id,
        case when not r.taken then coalesce(u.max_running, :max_per_user::integer) end as user_limit,
        case when not r.taken then coalesce(g.max_running, :max_per_organization::integer) end as organization_limit,
        coalesce(of_users.places, 0)
            + count(*) filter (where not r.taken) over (partition by r.owner_id order by r.waits) as of_user,
        coalesce(of_organizations.places, 0) as of_organization
    from workspace_room r
    join users u on u.id = r.owner_id
    join organizations g on g.id = r.organization_id
    left join of_users on of_users.owner_id = r.owner_id
    left join of_organizations on of_organizations.organization_id = r.organization_id
    where r.waits is not null
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
where :workspace_ids::uuid[] is null or workspace_id = any(:workspace_ids);
