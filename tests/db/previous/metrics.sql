-- name: count_open_jobs_as_system
-- Jobs that are not over, by what they do and whether a worker has begun them.
select type, (started_at is not null) as running, count(*) as jobs
from provisioner_jobs
where completed_at is null
group by type, (started_at is not null);

-- name: count_running_workspaces_as_system
-- Workspaces that stand started, whatever their agents do.
select count(*) as workspaces
from workspaces w
cross join lateral (
    select b.transition, b.job_id from workspace_builds b
    where b.workspace_id = w.id order by b.build_number desc limit 1
) newest
join provisioner_jobs j on j.id = newest.job_id
where not w.deleted and newest.transition = 'start' and j.completed_at is not null and j.error is null
    and j.canceled_at is null;
