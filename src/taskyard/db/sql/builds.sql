-- name: lock_workspace
-- A live workspace, locked until the transaction ends: builds and repairs of it are made in turn.
select id, organization_id, owner_id, template_id, ttl_ms, generation, driver
from workspaces
where id = :workspace_id and not deleted
for no key update;

-- name: get_file_of_version_as_system
-- The template files that a version was imported from, and what runs its jobs on its behalf.
select j.file_id as id
from template_versions v
join provisioner_jobs j on j.id = v.job_id
where v.id = :template_version_id;

-- name: insert_build
-- A new build of a workspace, with the next number.
insert into workspace_builds (
    id, workspace_id, build_number, transition, reason, initiator_id, job_id, template_version_id,
    template_version_preset_id, orphan, force, created_at, updated_at
)
select
    :id, :workspace_id, coalesce(max(b.build_number), 0) + 1, :transition, :reason, :initiator_id, :job_id,
    :template_version_id, :preset_id, :orphan, :force, :now, :now
from workspace_builds b
where b.workspace_id = :workspace_id;

-- name: count_active_builds
-- Whether a build of the workspace is not over.
select count(*) as count from workspace_builds where workspace_id = :workspace_id and not settled;

-- name: insert_build_parameters
-- The parameter values of a build.
insert into workspace_build_parameters (workspace_build_id, name, value)
select :build_id, p.name, p.value from unnest(:names::text[], :values::text[]) as p (name, value);

-- name: copy_build_parameters
-- The parameter values of the build before; those that count for one build only start from their defaults.
insert into workspace_build_parameters (workspace_build_id, name, value)
select :build_id, p.name, case when q.ephemeral then q.default_value else p.value end
from workspace_builds b
join workspace_build_parameters p on p.workspace_build_id = b.id
left join template_version_parameters q on q.template_version_id = b.template_version_id and q.name = p.name
where b.workspace_id = :workspace_id
    and b.build_number = (
        select n.build_number - 1 from workspace_builds n where n.id = :build_id
    );

-- name: list_build_parameters
-- The parameter values of a build, by name.
select name, value from workspace_build_parameters where workspace_build_id = :build_id order by name;

-- name: get_build
-- A build that the viewer may see, with its job.
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
where id = :build_id
    and (:viewer_all or workspace_owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: get_build_as_system
-- A build with its job.
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
where id = :build_id;

-- name: get_newest_build
-- The newest build of a workspace that was found already, with its job.
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
where workspace_id = :workspace_id
order by build_number desc
limit 1;

-- name: get_build_by_number
-- The build of that number of a workspace that was found already.
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
where workspace_id = :workspace_id and build_number = :build_number;

-- name: list_builds
-- Builds of a workspace that was found already, newest first, made at or after a time, below a number.
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
where workspace_id = :workspace_id
    and (:since::timestamptz is null or created_at >= :since)
    and (:below::integer is null or build_number < :below)
order by build_number desc
limit :limit
offset :offset;

-- name: touch_workspace
-- A workspace changed; a person's wish also counts as use, and wakes a dormant one.
update workspaces
set updated_at = :now,
    last_used_at = case when :wanted then :now else last_used_at end,
    dormant_at = case when :wanted then null else dormant_at end,
    deleting_at = case when :wanted then null else deleting_at end
where id = :workspace_id;

-- name: set_deadline
-- When the workspace of a start ends by itself; null for never.
update workspace_builds set deadline = :deadline, updated_at = :now where id = :build_id and transition = 'start';

-- name: insert_resource
-- Something that a job made.
insert into workspace_resources (id, job_id, transition, type, name, created_at)
values (:id, :job_id, :transition, :type, :name, :now);

-- name: insert_agent
-- The agent of a start that succeeded; its token is known by its hash only.
insert into workspace_agents (
    id, workspace_id, workspace_build_id, resource_id, name, token_hash, generation, directory,
    created_at, updated_at
) values (
    :id, :workspace_id, :build_id, :resource_id, :name, :token_hash, :generation, :directory, :now, :now
);

-- name: insert_app
-- An app of an agent; without a health check it is disabled for ever.
insert into workspace_apps (
    id, agent_id, ordinal, slug, display_name, icon, url, command, sharing_level, healthcheck_url,
    healthcheck_interval_s, healthcheck_threshold, health, created_at
) values (
    :id, :agent_id, :ordinal, :slug, :display_name, :icon, :url, :command, :sharing_level, :healthcheck_url,
    :healthcheck_interval_s, :healthcheck_threshold, :health, :now
);

-- name: choose_agent
-- What a start that succeeded gives to its build: who takes the task's input, and when it ends by itself.
update workspace_builds
set agent_id = :agent_id, app_id = :app_id, deadline = :deadline, max_deadline = :max_deadline, updated_at = :now
where id = :build_id;

-- name: list_resources
-- What the jobs of these builds made, by name.
select r.id, r.job_id, b.id as build_id, r.transition, r.type, r.name, r.created_at
from workspace_builds b
join workspace_resources r on r.job_id = b.job_id
where b.id = any(:build_ids)
order by r.name, r.id;

-- name: list_agents
-- The agents of these builds, by name.
select
    id, workspace_id, workspace_build_id, resource_id, name, generation, lifecycle, version, directory,
    server_id, first_connected_at, last_connected_at, disconnected_at, lease_expires_at, started_at, ready_at,
    logs_length, logs_overflowed, created_at, updated_at
from workspace_agents
where workspace_build_id = any(:build_ids)
order by name, id;

-- name: list_apps
-- The apps of these builds' agents, in the template's order.
select
    p.id, p.agent_id, p.ordinal, p.slug, p.display_name, p.icon, p.url, p.command, p.sharing_level,
    p.healthcheck_url, p.healthcheck_interval_s, p.healthcheck_threshold, p.health, p.created_at
from workspace_agents a
join workspace_apps p on p.agent_id = a.id
where a.workspace_build_id = any(:build_ids)
order by p.ordinal, p.display_name, p.slug;
