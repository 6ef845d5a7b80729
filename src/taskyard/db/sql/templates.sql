-- name: template_name_in_use
-- Whether a live template of the organization has this name, whatever its case.
select exists (
    select 1 from templates
    where organization_id = :organization_id and lower(name) = lower(:name) and not deleted
) as found;

-- name: insert_template
-- A new template around a version; what is left empty is taken from the version, once it was imported.
insert into templates (
    id, organization_id, name, display_name, description, icon, provisioner, active_version_id, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by, created_at,
    updated_at, autostop_days, autostop_weeks, autostart_days, max_port_share_level, cors_behavior,
    use_classic_parameter_flow, disable_module_cache
)
select
    :id, :organization_id, :name,
    coalesce(nullif(:display_name::text, ''), v.definition ->> 'display_name', ''),
    coalesce(nullif(:description::text, ''), v.definition ->> 'description', ''),
    coalesce(nullif(:icon::text, ''), v.definition ->> 'icon', ''),
    v.provisioner, v.id, :default_ttl_ms, :activity_bump_ms, :failure_ttl_ms, :dormant_ttl_ms, :delete_ttl_ms,
    :allow_user_cancel_workspace_jobs, :allow_user_autostart, :allow_user_autostop, :require_active_version, '',
    :created_by, :now, :now, :autostop_days, :autostop_weeks, :autostart_days, :max_port_share_level, :cors_behavior,
    :use_classic_parameter_flow, :disable_module_cache
from template_versions v
where v.id = :version_id;

-- name: update_template
-- A template's settings, all of them.
update templates
set name = :name, display_name = :display_name, description = :description, icon = :icon,
    default_ttl_ms = :default_ttl_ms, activity_bump_ms = :activity_bump_ms, failure_ttl_ms = :failure_ttl_ms,
    dormant_ttl_ms = :dormant_ttl_ms, delete_ttl_ms = :delete_ttl_ms,
    allow_user_cancel_workspace_jobs = :allow_user_cancel_workspace_jobs,
    allow_user_autostart = :allow_user_autostart, allow_user_autostop = :allow_user_autostop,
    require_active_version = :require_active_version, deprecation_message = :deprecation_message,
    autostop_days = :autostop_days, autostop_weeks = :autostop_weeks, autostart_days = :autostart_days,
    max_port_share_level = :max_port_share_level, cors_behavior = :cors_behavior,
    use_classic_parameter_flow = :use_classic_parameter_flow, disable_module_cache = :disable_module_cache,
    updated_at = :now
where id = :template_id;

-- name: lock_template
-- Waits until nobody else changes or uses the template, and keeps others off it until the transaction ends.
select id from templates where id = :template_id and not deleted for update;

-- name: hold_template_of
-- The template of a version, which is neither deleted nor moved to another version until the transaction ends.
select t.id
from templates t
join template_versions v on v.template_id = t.id
where v.id = :version_id
for key share of t;

-- name: has_workspaces
-- Whether a live workspace is of the template.
select exists (select 1 from workspaces where template_id = :template_id and not deleted) as found;

-- name: delete_template
-- The template is gone for everybody; workspaces that were of it keep its name.
update templates set deleted = true, updated_at = :now where id = :template_id;

-- name: get_template
-- A live template of an organization that the viewer belongs to or sees.
select
    id, organization_id, organization_name, organization_display_name, organization_icon, name, display_name,
    description, icon, provisioner, active_version_id, has_ai_task, active_user_count, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, deleted, created_by,
    created_by_name, created_at, updated_at, autostop_days, autostop_weeks, autostart_days, max_port_share_level,
    cors_behavior, use_classic_parameter_flow, disable_module_cache, build_times
from template_facts t
where id = :template_id and not deleted
    and (:viewer_all or organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = t.organization_id and m.user_id = :viewer_id
    ));

-- name: get_template_by_name
-- A live template of one organization by name, whatever its case.
select
    id, organization_id, organization_name, organization_display_name, organization_icon, name, display_name,
    description, icon, provisioner, active_version_id, has_ai_task, active_user_count, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, deleted, created_by,
    created_by_name, created_at, updated_at, autostop_days, autostop_weeks, autostart_days, max_port_share_level,
    cors_behavior, use_classic_parameter_flow, disable_module_cache, build_times
from template_facts t
where organization_id = :organization_id and lower(name) = lower(:name) and not deleted
    and (:viewer_all or organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = t.organization_id and m.user_id = :viewer_id
    ));

-- name: list_templates
-- Templates that the viewer may see, those that most users have workspaces of first, narrowed by what is not null.
select
    id, organization_id, organization_name, organization_display_name, organization_icon, name, display_name,
    description, icon, provisioner, active_version_id, has_ai_task, active_user_count, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, deleted, created_by,
    created_by_name, created_at, updated_at, autostop_days, autostop_weeks, autostart_days, max_port_share_level,
    cors_behavior, use_classic_parameter_flow, disable_module_cache, build_times
from template_facts t
where (:viewer_all or organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = t.organization_id and m.user_id = :viewer_id
    ))
    and deleted = :deleted
    and (:deprecated::boolean is null or (deprecation_message <> '') = :deprecated)
    and (:organization_id::uuid is null or organization_id = :organization_id)
    and (:exact_name::text is null or lower(name) = :exact_name)
    and (:name::text is null or position(:name in lower(name)) > 0)
    and (:display_name::text is null or position(:display_name in lower(display_name)) > 0)
    and (:text::text is null or position(:text in lower(name)) > 0 or position(:text in lower(display_name)) > 0)
    and (:author_id::uuid is null or created_by = :author_id)
    and (:has_ai_task::boolean is null or has_ai_task = :has_ai_task)
order by active_user_count desc, lower(name), id;

-- name: insert_version
-- A new template version that a job shall import.
insert into template_versions (
    id, template_id, organization_id, name, message, readme, job_id, created_by, created_at, updated_at, provisioner,
    variable_names
) values (
    :id, :template_id, :organization_id, :name, :message, '', :job_id, :created_by, :now, :now, :provisioner,
    :variable_names
);

-- name: tag_job
-- The tags that the author of a version gave to its import.
update provisioner_jobs set tags = :tags where id = :job_id;

-- name: get_version
-- A template version of an organization that the viewer belongs to or sees.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, variable_names, created_by, created_by_username, created_by_name, created_by_avatar_url,
    created_at, updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size, workers_count,
    workers_available, workers_seen_at,
    (select d.definition -> 'requires_env' from template_versions d where d.id = v.id) as requires_env
from version_facts v
where id = :version_id
    and (:viewer_all or organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = v.organization_id and m.user_id = :viewer_id
    ));

-- name: get_version_by_name
-- A version of a template by name, whatever its case; the caller has checked that the template is visible.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, variable_names, created_by, created_by_username, created_by_name, created_by_avatar_url,
    created_at, updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size, workers_count,
    workers_available, workers_seen_at,
    (select d.definition -> 'requires_env' from template_versions d where d.id = v.id) as requires_env
from version_facts v
where template_id = :template_id and lower(name) = lower(:name);

-- name: get_previous_version
-- The version of a template that was made before the given one, archived or not; no row for the first.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, variable_names, created_by, created_by_username, created_by_name, created_by_avatar_url,
    created_at, updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size, workers_count,
    workers_available, workers_seen_at,
    (select d.definition -> 'requires_env' from template_versions d where d.id = v.id) as requires_env
from version_facts v
where template_id = :template_id
    and (created_at, id) < (select a.created_at, a.id from template_versions a where a.id = :version_id)
order by created_at desc, id desc
limit 1;

-- name: list_versions
-- Versions of a template, oldest first, behind the given one; the caller has checked that the template is visible.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, variable_names, created_by, created_by_username, created_by_name, created_by_avatar_url,
    created_at, updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size, workers_count,
    workers_available, workers_seen_at,
    (select d.definition -> 'requires_env' from template_versions d where d.id = v.id) as requires_env
from version_facts v
where template_id = :template_id
    and (:include_archived or not archived)
    and (:after_id::uuid is null or (created_at, id) > (
        select a.created_at, a.id from template_versions a where a.id = :after_id
    ))
order by created_at, id
limit :limit
offset :offset;

-- name: update_version
-- Another name and message of a version.
update template_versions set name = :name, message = :message, updated_at = :now where id = :version_id;

-- name: set_archived
-- Whether a version is archived.
update template_versions set archived = :archived, updated_at = :now where id = :version_id;

-- name: is_version_used
-- Whether new workspaces are made of a version, or the newest build of a live workspace is of it.
select exists (select 1 from templates t where t.active_version_id = :version_id and not t.deleted)
    or exists (
        select 1
        from workspaces w
        join lateral (
            select b.template_version_id from workspace_builds b
            where b.workspace_id = w.id order by b.build_number desc limit 1
        ) newest on newest.template_version_id = :version_id
        where w.template_id = :template_id and not w.deleted
    ) as found;

-- name: archive_unused
-- Archives the versions of a template that nothing uses: those whose import failed, or all that are not being
-- imported; tells which.
update template_versions v
set archived = true, updated_at = :now
from provisioner_jobs j
where v.template_id = :template_id and not v.archived and j.id = v.job_id and j.completed_at is not null
    and (:every_version or j.error is not null)
    and not exists (select 1 from templates t where t.active_version_id = v.id)
    and not exists (
        select 1
        from workspaces w
        join lateral (
            select b.template_version_id from workspace_builds b
            where b.workspace_id = w.id order by b.build_number desc limit 1
        ) newest on newest.template_version_id = v.id
        where w.template_id = v.template_id and not w.deleted
    )
returning v.id, v.name;

-- name: has_version
-- Whether a template has this version.
select exists (
    select 1 from template_versions where id = :version_id and template_id = :template_id
) as found;

-- name: lock_version
-- What decides whether a version can become a template's, locked until the transaction ends.
select v.id, v.organization_id, v.template_id, v.archived
from template_versions v
where v.id = :version_id
    and (:viewer_all or v.organization_id = any(:viewer_orgs) or exists (
        select 1 from organization_members m
        where m.organization_id = v.organization_id and m.user_id = :viewer_id
    ))
for update;

-- name: attach_version
-- The version belongs to the template from now on.
update template_versions set template_id = :template_id, updated_at = :now where id = :version_id;

-- name: promote_version
-- New workspaces are made of this version; name for people, description and icon that came from the version
-- before come from this one.
update templates t
set active_version_id = n.id,
    display_name = case
        when t.display_name in ('', coalesce(o.definition ->> 'display_name', ''))
        then coalesce(n.definition ->> 'display_name', '') else t.display_name
    end,
    description = case
        when t.description in ('', coalesce(o.definition ->> 'description', ''))
        then coalesce(n.definition ->> 'description', '') else t.description
    end,
    icon = case
        when t.icon in ('', coalesce(o.definition ->> 'icon', ''))
        then coalesce(n.definition ->> 'icon', '') else t.icon
    end,
    provisioner = n.provisioner,
    updated_at = :now
from template_versions o, template_versions n
where t.id = :template_id and o.id = t.active_version_id and n.id = :version_id and n.template_id = t.id;

-- name: take_starters_turn
-- Servers bring their starters one after another.
select 1 as taken from pg_advisory_xact_lock(:lock);

-- name: get_first_owner_as_system
-- Who owns this server since it began.
select id from users where 'owner' = any(roles) and not deleted order by created_at, id limit 1;

-- name: get_starter_as_system
-- The template of this name with its active version; a deleted one when there is no live one.
select t.id, t.deleted, v.name as version_name
from templates t
join template_versions v on v.id = t.active_version_id
where t.organization_id = :organization_id and lower(t.name) = lower(:name)
order by t.deleted, t.created_at desc
limit 1;
