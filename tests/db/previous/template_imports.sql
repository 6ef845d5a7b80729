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
