-- name: get_task
-- A live task that the viewer may see, with the facts that decide over it.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status, waiting_kind, waiting_id, waiting_title
from task_facts
where id = :task_id
    and (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs));

-- name: get_asker_with_task
-- Who an API key lets in, the user that a path names (`me` is the asker), and the live task that it names behind
-- that user: by its id, else by the user's name for it, else by the id of its workspace, as far as the asker sees it.
select
    a.key_id, a.secret_hash, a.login_type, a.lifetime_s, a.last_used_at, a.expires_at, a.user_id, a.username,
    a.status, a.roles, a.member_of, a.admin_of, o.id as owner_id, o.organization_ids as owner_member_of, (
        select row_to_json(f)
        from (
            select
                id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
                created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
                template_display_name, template_icon, build_id, build_number, transition, build_created_at,
                build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
                agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
                report_uri, report_created_at, status, waiting_kind, waiting_id, waiting_title
            from task_facts
            where id = t.id
        ) f
    ) as task
from askers a
left join lateral (
    select
        u.id, array(select m.organization_id from organization_members m where m.user_id = u.id) as organization_ids
    from users u
    where not u.deleted
        and (u.id = case :owner when 'me' then a.user_id else :owner_id end or lower(u.username) = lower(:owner))
    order by u.id = case :owner when 'me' then a.user_id else :owner_id end desc
    limit 1
) o on true
left join lateral (
    select n.id
    from tasks n
    where n.deleted_at is null
        and (
            n.id = :task_id or n.workspace_id = :task_id or (n.owner_id = o.id and lower(n.name) = lower(:task))
        )
        and ('owner' = any(a.roles) or n.owner_id = a.user_id or n.organization_id = any(a.admin_of))
    order by n.id = :task_id desc, n.workspace_id = :task_id
    limit 1
) t on true
where a.key_id = :key_id;

-- name: list_tasks
-- Live tasks that the viewer may see, newest first, narrowed by what is not null; before_at and before_id are of
-- the last task of the page before.
select
    id, organization_id, owner_id, owner_name, owner_avatar_url, name, display_name, template_version_id, input,
    created_at, workspace_id, workspace_name, workspace_deleted, workspace_updated_at, template_id, template_name,
    template_display_name, template_icon, build_id, build_number, transition, build_created_at,
    build_template_version_id, job_status, agent_id, agent_lifecycle, agent_created_at, agent_first_connected_at,
    agent_last_connected_at, agent_disconnected_at, app_id, app_health, app_url, report_state, report_message,
    report_uri, report_created_at, status, waiting_kind, waiting_id, waiting_title
from task_facts
where (:viewer_all or owner_id = :viewer_id or organization_id = any(:viewer_orgs))
    and (:owner_id::uuid is null or owner_id = :owner_id)
    and (:organization_id::uuid is null or organization_id = :organization_id)
    and (:status::text is null or noted_status = :status)
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

-- name: update_display_name
-- What people call the task; its name stays as it is.
update tasks set display_name = :display_name where id = :task_id and deleted_at is null;

-- name: delete_task
-- A task that nobody sees any more; its workspace goes by a build of its own.
update tasks set deleted_at = :now where id = :task_id and deleted_at is null;

-- name: delete_snapshot
-- The kept end of the conversation goes with the task.
delete from task_snapshots where task_id = :task_id;
