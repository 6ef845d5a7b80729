-- name: forget_links
-- No server holds an agent's link, as all agents were left behind.
update workspace_agents set server_id = null, lease_expires_at = null
where server_id is not null or lease_expires_at is not null;

-- name: place_workspaces
-- Whose disk the files of workspaces are on: this host's where they came along, nobody's else.
update workspaces set host_id = case when id = any(:homes) then :host_id::uuid end
where host_id is distinct from case when id = any(:homes) then :host_id::uuid end;

-- name: drop_repairs
-- What was lost there need not be brought back here.
update provisioner_jobs set completed_at = :now, canceled_at = coalesce(canceled_at, :now), updated_at = :now
where type = 'workspace_repair' and completed_at is null;

-- name: fail_starts
-- Starts that were at work, or waited to be, are over.
with ended as (
    update provisioner_jobs j
    set completed_at = :now, updated_at = :now, error = :error
    from workspace_builds b
    where b.job_id = j.id and b.transition = 'start' and j.type = 'workspace_build' and j.completed_at is null
    returning j.id
)
update workspace_builds set settled = true, updated_at = :now where job_id in (select id from ended);

-- name: begin_jobs_anew
-- What else was at work waits for a worker again, as if nobody had begun.
update provisioner_jobs
set started_at = null, worker_id = null, worker_name = null, lease_expires_at = null, attempt = 0, run_at = :now,
    updated_at = :now
where completed_at is null;

-- name: list_to_pause_as_system
-- Live workspaces whose newest build wanted them to run, or to stop and did not get there; and whether they are of tasks.
select
    w.id, w.name, w.owner_id, w.organization_id, b.template_version_id, b.template_version_preset_id,
    exists (select 1 from tasks t where t.workspace_id = w.id and t.deleted_at is null) as is_task
from workspaces w
cross join lateral (
    select n.transition, n.job_id, n.template_version_id, n.template_version_preset_id
    from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b
join provisioner_jobs j on j.id = b.job_id
where not w.deleted and j.completed_at is not null and (
    (b.transition = 'start' and (j.error = :moved or (j.error is null and j.canceled_at is null)))
    or (b.transition = 'stop' and (j.error is not null or j.canceled_at is not null))
)
order by w.created_at, w.id;

-- name: list_homes_as_system
-- Live workspaces that ever started, by what drives them, and whether they run.
select
    w.id as workspace_id, w.driver,
    exists (
        select 1 from workspace_builds b join provisioner_jobs j on j.id = b.job_id
        where b.workspace_id = w.id and b.transition = 'start' and j.error is null and j.canceled_at is null
            and not exists (
                select 1 from workspace_builds n where n.workspace_id = w.id and n.build_number > b.build_number
            )
    ) as running
from workspaces w
where not w.deleted and w.driver is not null
order by w.created_at, w.id;
