-- name: get_task
-- A live task that the viewer may see, with the facts that decide over it.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status
from task_facts
where id = :task_id
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: get_task_by_name
-- A live task of an owner by its name, whatever its case.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status
from task_facts
where owner_id = :owner_id and lower(name) = lower(:name)
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: get_task_by_workspace
-- The live task that a workspace belongs to.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status
from task_facts
where workspace_id = :workspace_id
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: list_tasks
-- Live tasks that the viewer may see, newest first, narrowed by what is not null; before_at and before_id are of
-- the last task of the page before.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status
from task_facts
where (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs))
    and (:owner_id::uuid is null or owner_id = :owner_id)
    and (:organization_id::uuid is null or organization_id = :organization_id)
    and (:status::text is null or status = :status)
    and (:before_at::timestamptz is null or (created_at, id) < (:before_at, :before_id::uuid))
order by created_at desc, id desc
limit :limit;

-- name: insert_task
-- A new task of a workspace that is there already.
insert into tasks (
    id, organization_id, owner_id, name, display_name, workspace_id, template_version_id, input, created_at
) values (
    :id, :organization_id, :owner_id, :name, :display_name, :workspace_id, :template_version_id, :input, :now
);

-- name: update_task_input
-- The text that the next start delivers.
update tasks set input = :input where id = :task_id and deleted_at is null;

-- name: delete_task
-- A task that nobody sees any more; its workspace goes by a build of its own.
update tasks set deleted_at = :now where id = :task_id and deleted_at is null;

-- name: delete_snapshot
-- The kept end of the conversation goes with the task.
delete from task_snapshots where task_id = :task_id;
