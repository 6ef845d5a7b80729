-- name: begin_upkeep_as_system
-- Whether this server does this work now: nothing when another began it less than so many seconds ago.
insert into upkeep (name, began_at)
values (:name, now())
on conflict (name) do update
set began_at = excluded.began_at
where upkeep.began_at < now() - make_interval(secs => :seconds::double precision);

-- name: reap_idempotency_keys_as_system
-- Keys whose time is over, and whose request is.
delete from idempotency_keys
where id in (
    select k.id from idempotency_keys k
    where k.expires_at <= :before and (k.finished_at is not null or k.lease_expires_at <= :before)
    order by k.expires_at
    limit :batch
    for update skip locked
);

-- name: reap_api_keys_as_system
-- Keys that expired before then, so that nobody lists them any more.
delete from api_keys
where id in (
    select k.id from api_keys k
    where k.expires_at < :before
    order by k.expires_at
    limit :batch
    for update skip locked
);

-- name: open_audit_as_system
-- Until the transaction ends, old rows of the audit can be deleted.
select set_config('taskyard.reaping', 'audit', true) as said;

-- name: reap_audit_logs_as_system
-- What was done before then.
delete from audit_logs
where id in (
    select l.id from audit_logs l
    where l.at < :before
    order by l.at
    limit :batch
);

-- name: reap_files_as_system
-- Archives that were uploaded before then and that no version was made from.
delete from files
where id in (
    select f.id from files f
    where coalesce(f.touched_at, f.created_at) < :before
        and not exists (select 1 from provisioner_jobs j where j.file_id = f.id)
    order by coalesce(f.touched_at, f.created_at)
    limit :batch
    for update skip locked
);

-- name: reap_task_events_as_system
-- Events of before then, among the next ones: not the newest of a live task, with which those begin who follow it.
-- How far they were removed is kept, for those who come back.
with seen as materialized (
    select e.id, e.task_id, e.at from task_events e
    where e.id > :after
    order by e.id
    limit :batch
),
gone as (
    delete from task_events e
    using seen s
    where e.id = s.id and s.at < :before
        and (
            exists (select 1 from task_events n where n.task_id = s.task_id and n.id > s.id)
            or not exists (select 1 from tasks t where t.id = s.task_id and t.deleted_at is null)
        )
    returning e.id
),
noted as (
    update task_events_kept k
    set after = greatest(k.after, (select max(g.id) from gone g))
    where exists (select 1 from gone)
)
select
    (select count(*) from seen) as seen, (select max(s.id) from seen s) as last,
    (select count(*) from gone) as gone,
    coalesce((select bool_and(s.at >= :before) from seen s), true) as young;

-- name: reap_job_logs_as_system
-- Lines of jobs that were over before then, among the next ones: not of the newest build of a workspace that is there,
-- nor of the import of a version that new workspaces are made of.
with seen as materialized (
    select l.id, l.job_id, l.created_at from provisioner_job_logs l
    where l.id > :after
    order by l.id
    limit :batch
),
old as materialized (
    select j.id from provisioner_jobs j
    where j.id in (select s.job_id from seen s) and j.completed_at < :before
        and not exists (
            select 1 from workspaces w
            where w.id = j.workspace_id and not w.deleted and j.workspace_build_id = (
                select n.id from workspace_builds n where n.workspace_id = w.id
                order by n.build_number desc limit 1
            )
        )
        and not exists (
            select 1 from templates t where t.active_version_id = j.template_version_id and not t.deleted
        )
),
gone as (
    delete from provisioner_job_logs l
    using seen s
    where l.id = s.id and s.job_id in (select o.id from old o)
    returning l.id
)
select
    (select count(*) from seen) as seen, (select max(s.id) from seen s) as last,
    (select count(*) from gone) as gone,
    coalesce((select bool_and(s.created_at >= :before) from seen s), true) as young;

-- name: reap_agent_logs_as_system
-- Lines of agents whose build was over before then, among the next ones: not of the newest build of a workspace that
-- is there. Their own times are the workspace's, which may say anything.
with seen as materialized (
    select l.id, l.agent_id from workspace_agent_logs l
    where l.id > :after
    order by l.id
    limit :batch
),
agents as materialized (
    select
        a.id, a.created_at,
        exists (
            select 1 from workspace_builds n
            where n.workspace_id = a.workspace_id and n.build_number > b.build_number and n.created_at < :before
        )
        or exists (select 1 from workspaces w where w.id = a.workspace_id and w.deleted and w.updated_at < :before)
        as is_old
    from workspace_agents a
    join workspace_builds b on b.id = a.workspace_build_id
    where a.id in (select s.agent_id from seen s)
),
gone as (
    delete from workspace_agent_logs l
    using seen s
    where l.id = s.id and s.agent_id in (select a.id from agents a where a.is_old)
    returning l.id
)
select
    (select count(*) from seen) as seen, (select max(s.id) from seen s) as last,
    (select count(*) from gone) as gone,
    coalesce((select bool_and(a.created_at >= :before) from agents a), true) as young;

-- name: list_gone_workspaces_as_system
-- Workspaces that are gone since before then, with their tasks if they had any, and nothing of them at work; not these.
select w.id, t.id as task_id
from workspaces w
left join tasks t on t.workspace_id = w.id
where w.deleted and w.updated_at < :before and w.id <> all (:without::uuid[])
    and (t.id is null or t.deleted_at < :before)
    and not exists (select 1 from workspace_builds b where b.workspace_id = w.id and not b.settled)
    and not exists (
        select 1 from provisioner_jobs j where j.workspace_id = w.id and j.completed_at is null
    )
order by w.updated_at
limit :batch;

-- name: reap_items_as_system
-- The last items of a deleted task's transcript.
delete from task_items i
using (
    select n.number from task_items n where n.task_id = :task_id order by n.number desc limit :batch
) last
where i.task_id = :task_id and i.number = last.number
    and exists (select 1 from tasks t where t.id = :task_id and t.deleted_at is not null);

-- name: reap_prompts_as_system
-- What a deleted task was told.
delete from task_prompts p
where p.task_id = :task_id
    and exists (select 1 from tasks t where t.id = :task_id and t.deleted_at is not null);

-- name: reap_task_as_system
-- A deleted task; what it showed last, its permissions and its snapshot go with it.
delete from tasks where id = :task_id and deleted_at is not null;

-- name: reap_app_statuses_as_system
-- Some of what a deleted workspace reported.
delete from workspace_app_statuses s
using (
    select n.id from workspace_app_statuses n where n.workspace_id = :workspace_id order by n.place limit :batch
) part
where s.id = part.id and exists (select 1 from workspaces w where w.id = s.workspace_id and w.deleted);

-- name: reap_logs_of_agents_as_system
-- Some lines of the agents of a deleted workspace.
delete from workspace_agent_logs l
using (
    select n.id from workspace_agents a join workspace_agent_logs n on n.agent_id = a.id
    where a.workspace_id = :workspace_id
    limit :batch
) part
where l.id = part.id and exists (select 1 from workspaces w where w.id = :workspace_id and w.deleted);

-- name: reap_logs_of_jobs_as_system
-- Some lines of the jobs of a deleted workspace.
delete from provisioner_job_logs l
using (
    select n.id from provisioner_jobs j join provisioner_job_logs n on n.job_id = j.id
    where j.workspace_id = :workspace_id
    limit :batch
) part
where l.id = part.id and exists (select 1 from workspaces w where w.id = :workspace_id and w.deleted);

-- name: reap_agents_as_system
-- The agents of a deleted workspace, with their apps and logs.
delete from workspace_agents a
where a.workspace_id = :workspace_id
    and exists (select 1 from workspaces w where w.id = a.workspace_id and w.deleted);

-- name: reap_resources_as_system
-- What builds of a deleted workspace had made.
delete from workspace_resources r
using provisioner_jobs j
where j.id = r.job_id and j.workspace_id = :workspace_id
    and exists (select 1 from workspaces w where w.id = j.workspace_id and w.deleted);

-- name: reap_builds_as_system
-- The builds of a deleted workspace, with their values and phases.
delete from workspace_builds b
where b.workspace_id = :workspace_id
    and exists (select 1 from workspaces w where w.id = b.workspace_id and w.deleted);

-- name: reap_jobs_as_system
-- The jobs of a deleted workspace, with their logs.
delete from provisioner_jobs j
where j.workspace_id = :workspace_id
    and exists (select 1 from workspaces w where w.id = j.workspace_id and w.deleted);

-- name: reap_workspace_as_system
-- A deleted workspace of which nothing else is left.
delete from workspaces where id = :workspace_id and deleted;
