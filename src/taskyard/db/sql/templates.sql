-- name: insert_file
-- A new file; nothing when this user has one of the same bytes.
insert into files (id, sha256, created_by, mimetype, data, created_at)
values (:id, :sha256, :created_by, :mimetype, :data, :now)
on conflict (created_by, sha256) do nothing;

-- name: find_file
-- The file of these bytes that this user has.
select id from files where created_by = :created_by and sha256 = :sha256;

-- name: get_file
-- A file that the viewer uploaded, or that a version of an organization they look after was made from.
select f.id, f.mimetype, f.data
from files f
where f.id = :file_id
    and (:viewer_all or f.created_by = :viewer_id or exists (
        select 1 from template_versions v
        join provisioner_jobs j on j.id = v.job_id
        where v.organization_id = any(:viewer_orgs) and j.file_id = f.id
    ));

-- name: may_use_file
-- Whether the viewer can read a file.
select exists (
    select 1 from files f
    where f.id = :file_id
        and (:viewer_all or f.created_by = :viewer_id or exists (
            select 1 from template_versions v
            join provisioner_jobs j on j.id = v.job_id
            where v.organization_id = any(:viewer_orgs) and j.file_id = f.id
        ))
) as found;

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
    updated_at
)
select
    :id, :organization_id, :name,
    coalesce(nullif(:display_name::text, ''), v.definition ->> 'display_name', ''),
    coalesce(nullif(:description::text, ''), v.definition ->> 'description', ''),
    coalesce(nullif(:icon::text, ''), v.definition ->> 'icon', ''),
    v.provisioner, v.id, :default_ttl_ms, :activity_bump_ms, :failure_ttl_ms, :dormant_ttl_ms, :delete_ttl_ms,
    :allow_user_cancel_workspace_jobs, :allow_user_autostart, :allow_user_autostop, :require_active_version, '',
    :created_by, :now, :now
from template_versions v
where v.id = :version_id;

-- name: get_template
-- A live template of an organization that the viewer belongs to or sees.
select
    id, organization_id, organization_name, organization_display_name, organization_icon, name, display_name,
    description, icon, provisioner, active_version_id, has_ai_task, active_user_count, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, deleted, created_by,
    created_by_name, created_at, updated_at
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
    created_by_name, created_at, updated_at
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
    created_by_name, created_at, updated_at
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
    id, template_id, organization_id, name, message, readme, job_id, created_by, created_at, updated_at, provisioner
) values (
    :id, :template_id, :organization_id, :name, :message, '', :job_id, :created_by, :now, :now, :provisioner
);

-- name: get_version
-- A template version of an organization that the viewer belongs to or sees.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, created_by, created_by_username, created_by_name, created_by_avatar_url, created_at,
    updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size
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
    archived, warnings, created_by, created_by_username, created_by_name, created_by_avatar_url, created_at,
    updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size
from version_facts
where template_id = :template_id and lower(name) = lower(:name);

-- name: list_versions
-- Versions of a template, oldest first, behind the given one; the caller has checked that the template is visible.
select
    id, template_id, template_name, template_display_name, template_icon, organization_id, name, message, readme,
    archived, warnings, created_by, created_by_username, created_by_name, created_by_avatar_url, created_at,
    updated_at, job_id, job_type, job_organization_id, job_initiator_id, job_file_id,
    job_template_version_id, job_workspace_id, job_workspace_build_id, job_tags, job_attempt, job_run_at,
    job_worker_id, job_worker_name, job_lease_expires_at, job_created_at, job_updated_at, job_started_at,
    job_canceled_at, job_completed_at, job_error, job_error_code, job_queue_position, job_queue_size
from version_facts
where template_id = :template_id
    and (:include_archived or not archived)
    and (:after_id::uuid is null or (created_at, id) > (
        select a.created_at, a.id from template_versions a where a.id = :after_id
    ))
order by created_at, id
limit :limit
offset :offset;

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

-- name: list_presets
-- The presets of a version in the template's order; the caller has checked that it is visible.
select id, name, description, icon, is_default, parameters
from template_version_presets
where template_version_id = :version_id
order by ordinal;

-- name: list_parameters
-- What a version asks of a workspace, in the template's order; the caller has checked that it is visible.
select
    name, display_name, description, type, form_type, mutable, default_value, icon, options, validation_error,
    validation_regex, validation_min, validation_max, validation_monotonic, required, ephemeral
from template_version_parameters
where template_version_id = :version_id
order by ordinal;

-- name: record_import
-- What an import found.
update template_versions
set definition = :definition, has_ai_task = :has_ai_task, readme = :readme, updated_at = :now
where id = :version_id;

-- name: fill_template
-- What nobody said about a template is taken from its active version, now that this is imported.
update templates
set display_name = coalesce(nullif(display_name, ''), :display_name),
    description = coalesce(nullif(description, ''), :description),
    icon = coalesce(nullif(icon, ''), :icon),
    updated_at = :now
where active_version_id = :version_id and '' in (display_name, description, icon);

-- name: insert_parameter
-- A question of a version.
insert into template_version_parameters (
    template_version_id, ordinal, name, display_name, description, type, form_type, mutable, default_value, icon,
    options, validation_error, validation_regex, validation_min, validation_max, validation_monotonic, required,
    ephemeral
) values (
    :version_id, :ordinal, :name, :display_name, :description, :type, :form_type, :mutable, :default_value, :icon,
    :options, :validation_error, :validation_regex, :validation_min, :validation_max, :validation_monotonic,
    :required, :ephemeral
);

-- name: insert_preset
-- A named set of parameter values of a version.
insert into template_version_presets (
    id, template_version_id, ordinal, name, description, icon, is_default, parameters
) values (
    :id, :version_id, :ordinal, :name, :description, :icon, :is_default, :parameters
);

-- name: use_file
-- The job's version is made from this file from now on.
update provisioner_jobs set file_id = :file_id where id = :job_id;

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
