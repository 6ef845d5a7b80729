-- name: insert_workspace
-- A new workspace without a build, unless its owner was deleted: whoever deletes them is waited for here, and then
-- the row is looked at again, which the weaker lock of a foreign key would not do.
insert into workspaces (
    id, owner_id, organization_id, template_id, name, ttl_ms, autostart_schedule, automatic_updates, created_at,
    updated_at, last_used_at
)
select
    :id, u.id, :organization_id, :template_id, :name, :ttl_ms, :autostart_schedule, :automatic_updates, :now, :now,
    :now
from users u
where u.id = :owner_id and not u.deleted
for share of u;

-- name: get_active_version_id
-- The active version of a template; the caller checks that it is visible.
select active_version_id as id from templates where id = :template_id;

-- name: set_ttl
-- How long a workspace runs after each start from now on; null for ever.
update workspaces set ttl_ms = :ttl_ms, updated_at = :now where id = :workspace_id;

-- name: set_favorite
-- Whether its owner likes to see a workspace first.
update workspaces set favorite = :favorite where id = :workspace_id;

-- name: name_in_use
-- Whether a live workspace of the owner has this name, whatever its case.
select exists (
    select 1 from workspaces where owner_id = :owner_id and lower(name) = lower(:name) and not deleted
) as found;

-- name: get_workspace
-- A workspace that the viewer may see, deleted or not.
select
    id, owner_id, owner_name, owner_avatar_url, organization_id, organization_name, template_id, template_name,
    template_display_name, template_icon, allow_user_cancel_workspace_jobs, allow_user_autostop, active_version_id,
    require_active_version, use_classic_parameter_flow,
    name, ttl_ms, deleted, created_at, updated_at, last_used_at, build_id, build_number,
    template_version_id, has_ai_task, status, task_id, autostart_schedule, automatic_updates,
    favorite and owner_id = :viewer_id as favorite, dormant_at, deleting_at
from workspace_facts
where id = :workspace_id
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: get_workspace_by_name
-- The newest workspace of an owner that has this name; deleted ones only when asked for.
select
    id, owner_id, owner_name, owner_avatar_url, organization_id, organization_name, template_id, template_name,
    template_display_name, template_icon, allow_user_cancel_workspace_jobs, allow_user_autostop, active_version_id,
    require_active_version, use_classic_parameter_flow,
    name, ttl_ms, deleted, created_at, updated_at, last_used_at, build_id, build_number,
    template_version_id, has_ai_task, status, task_id, autostart_schedule, automatic_updates,
    favorite and owner_id = :viewer_id as favorite, dormant_at, deleting_at
from workspace_facts
where owner_id = :owner_id and lower(name) = lower(:name) and (:deleted or not deleted)
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs))
order by deleted, created_at desc
limit 1;

-- name: list_workspaces
-- Live workspaces that the viewer may see, narrowed by what is not null: the viewer's favorites first, running ones
-- next, then by owner and name.
select
    id, owner_id, owner_name, owner_avatar_url, organization_id, organization_name, template_id, template_name,
    template_display_name, template_icon, allow_user_cancel_workspace_jobs, allow_user_autostop, active_version_id,
    require_active_version, use_classic_parameter_flow,
    name, ttl_ms, deleted, created_at, updated_at, last_used_at, build_id, build_number,
    template_version_id, has_ai_task, status, task_id, autostart_schedule, automatic_updates,
    favorite and owner_id = :viewer_id as favorite, dormant_at, deleting_at, count(*) over () as total
from workspace_facts
where not deleted
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs))
    and (:owner_id::uuid is null or owner_id = :owner_id)
    and (:organization_id::uuid is null or organization_id = :organization_id)
    and (:template::text is null or lower(template_name) = :template or template_id::text = :template)
    and (:name::text is null or position(:name in lower(name)) > 0)
    and (:status::text is null or status = :status)
    and (:has_ai_task::boolean is null or has_ai_task = :has_ai_task)
    and (:dormant::boolean is null or (dormant_at is not null) = :dormant)
    and (:used_after::timestamptz is null or last_used_at > :used_after)
    and (:used_before::timestamptz is null or last_used_at < :used_before)
order by (favorite and owner_id = :viewer_id) desc, (status = 'running') desc, lower(owner_name), lower(name), id
limit :limit
offset :offset;

-- name: list_builds_by_id
-- The builds of these ids; the caller has checked that they are visible.
select
    id, workspace_id, workspace_name, workspace_owner_id, workspace_owner_name, workspace_owner_avatar_url,
    organization_id, template_id, template_version_id, template_version_name, has_ai_task,
    template_version_preset_id, build_number, transition, reason, initiator_id, initiator_name, deadline,
    max_deadline, agent_id, app_id, created_at, updated_at, job_id, job_type, job_organization_id,
    job_initiator_id, job_file_id, job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags,
    job_attempt, job_run_at, job_worker_id, job_worker_name, job_lease_expires_at, job_created_at,
    job_updated_at, job_started_at, job_canceled_at, job_completed_at, job_error, job_error_code,
    job_queue_position, job_queue_size, workers_count, workers_available, workers_seen_at
from build_facts
where id = any(:build_ids);

-- name: get_agent
-- A workspace agent that the viewer may see, with the newest build of its workspace.
select
    a.id, a.workspace_build_id as build_id, w.build_id as newest_build_id, n.settled as newest_settled
from workspace_agents a
join workspace_facts w on w.id = a.workspace_id
join workspace_builds n on n.id = w.build_id
where a.id = :agent_id
    and (:viewer_all or w.owner_id = :viewer_id or w.organization_id = any(:viewer_orgs));

-- name: list_app_statuses
-- The newest reports through each of these apps, newest first, at most so many an app.
select s.id, s.created_at, s.workspace_id, s.agent_id, s.app_id, s.state, s.message, s.uri
from unnest(:app_ids::uuid[]) as app (id)
cross join lateral (
    select r.id, r.place, r.created_at, r.workspace_id, r.agent_id, r.app_id, r.state, r.message, r.uri
    from workspace_app_statuses r
    where r.app_id = app.id
    order by r.place desc
    limit :most
) s
order by s.place desc;

-- name: list_newest_app_statuses
-- The newest report from each of these workspaces.
select s.id, s.created_at, s.workspace_id, s.agent_id, s.app_id, s.state, s.message, s.uri
from unnest(:workspace_ids::uuid[]) as w (id)
cross join lateral (
    select r.id, r.created_at, r.workspace_id, r.agent_id, r.app_id, r.state, r.message, r.uri
    from workspace_app_statuses r
    where r.workspace_id = w.id
    order by r.place desc
    limit 1
) s;

-- name: list_log_sources
-- Who writes to the logs of these agents, oldest first.
select id, agent_id, display_name, icon, created_at
from workspace_agent_log_sources
where agent_id = any(:agent_ids)
order by created_at, id;

-- name: list_agent_logs
-- Lines of an agent's log between two ids, both left out, oldest first; the caller has checked that it is visible.
select id, created_at, output, level, source_id
from workspace_agent_logs
where agent_id = :agent_id and id > :after and (:before::bigint is null or id < :before)
order by id;

-- name: is_job_over_as_system
-- Whether nothing will be added to the log of a job any more.
select completed_at is not null as found from provisioner_jobs where id = :job_id;

-- name: get_version
-- A template version of an organization that the caller belongs to or sees, with what decides whether workspaces
-- can be made of it; template_name and the columns after it are null while it belongs to no template.
select
    v.id, v.organization_id, v.template_id, v.definition, v.has_ai_task, v.archived,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as import_status,
    t.name as template_name, t.deleted as template_deleted, t.deprecation_message, t.default_ttl_ms,
    t.active_version_id, t.require_active_version, t.allow_user_autostart, t.allow_user_autostop
from template_versions v
join provisioner_jobs j on j.id = v.job_id
left join templates t on t.id = v.template_id
where v.id = :version_id
    and (:viewer_all or v.organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = v.organization_id and m.user_id = :viewer_id
    ));

-- name: get_preset
-- The parameter values of a preset of a template version.
select id, parameters from template_version_presets where id = :preset_id and template_version_id = :version_id;
