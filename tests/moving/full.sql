-- Something in every table that an export takes, at rest: no job is open, nothing runs, so an import changes none of it.
-- Texts are those that text formats trip over.
insert into organizations (id, name, display_name, description, icon, is_default, created_at, updated_at)
values (md5('o')::uuid, 'main', E'tab\tand\nline', E'\\N', '\.', true, '0001-01-01 00:00:00+00', now());
insert into users (
    id, username, email, name, avatar_url, password_hash, login_type, status, roles, github_user_id, created_at, updated_at,
    last_seen_at
)
values (
    md5('u')::uuid, 'ada', 'ada@example.com', E'Ada \\ "quoted" ‮ 🦆 {null,"x"}', '', 'hash', 'password', 'active',
    array['owner', 'auditor'], 9007199254740993, '9999-12-31 23:59:59.999999+00', now(), '0001-01-01 00:00:00+00'
);
insert into organization_members values (md5('o')::uuid, md5('u')::uuid, '{}', now(), now());
insert into api_keys (
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at, created_at, updated_at
)
values ('0123456789', md5('u')::uuid, sha256('s'), 'token', 'all', 'ci', 3600, now(), now(), now(), now());
insert into git_ssh_keys values (md5('u')::uuid, 'ssh-ed25519 AAAA', now(), now());
insert into audit_logs (
    id, at, user_id, username, action, resource_type, resource_id, resource_name, succeeded, changes
)
values (md5('a')::uuid, now(), md5('u')::uuid, 'ada', 'create', 'user', '', 'ada', true, '{"a": {"old": 1e400, "new": "\u2028"}}');
insert into files (id, sha256, created_by, mimetype, data, created_at)
values (md5('f')::uuid, sha256('\x000a0d5c2e5c4e'), md5('u')::uuid, 'application/x-tar', '\x000a0d5c2e5c4e', now());
insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, template_version_id, tags, attempt, run_at, worker_id, worker_name,
    lease_expires_at, created_at, updated_at, started_at, completed_at
)
values (
    md5('j1')::uuid, 'template_version_import', md5('o')::uuid, md5('u')::uuid, md5('f')::uuid, md5('v')::uuid, '{"x": 1}', 1,
    now(), md5('worker')::uuid, 'box', now(), now(), now(), now(), now()
);
insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, workspace_id, workspace_build_id, tags, attempt, run_at, worker_id,
    worker_name, lease_expires_at, created_at, updated_at, started_at, completed_at
)
values (
    md5('j2')::uuid, 'workspace_build', md5('o')::uuid, md5('u')::uuid, md5('f')::uuid, md5('w')::uuid, md5('b')::uuid, '{}', 1,
    now(), md5('worker')::uuid, 'box', now(), now(), now(), now(), now()
);
insert into provisioner_job_logs (job_id, created_at, source, level, stage, output)
values (md5('j2')::uuid, now(), 'provisioner', 'info', 'Stop', E'\\.\n\\.\r\n\b\f\v');
begin;
insert into templates (
    id, organization_id, name, display_name, description, icon, provisioner, active_version_id, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by, created_at, updated_at
)
values (
    md5('t')::uuid, md5('o')::uuid, 'shell', '', '', '', 'echo', md5('v')::uuid, 0, 0, 0, 0, 0, true, true, true, false, '',
    md5('u')::uuid, now(), now()
);
insert into template_versions (
    id, template_id, organization_id, name, message, readme, job_id, definition, has_ai_task, created_by, created_at,
    updated_at, variable_names
)
values (
    md5('v')::uuid, md5('t')::uuid, md5('o')::uuid, 'v1', '', '# Read', md5('j1')::uuid, '{"a": [1, null]}', true,
    md5('u')::uuid, now(), now(), array['a,b', '"', '', 'NULL']
);
commit;
insert into template_version_parameters (
    template_version_id, ordinal, name, display_name, description, type, form_type, mutable, default_value, icon, options,
    required, ephemeral
)
values (md5('v')::uuid, 1, 'colour', '', '', 'string', 'input', true, 'red', '', '[]', false, false);
insert into template_version_presets (id, template_version_id, ordinal, name, description, icon, is_default, parameters)
values (md5('p')::uuid, md5('v')::uuid, 1, 'small', '', '', true, '[]');
insert into workspaces (
    id, owner_id, organization_id, template_id, name, ttl_ms, generation, driver, acked_seq, created_at, updated_at,
    last_used_at
)
values (
    md5('w')::uuid, md5('u')::uuid, md5('o')::uuid, md5('t')::uuid, 'one', 1000, 3, 'echo', 41, now(), now(), now()
);
insert into workspace_builds (
    id, workspace_id, build_number, transition, reason, initiator_id, job_id, template_version_id, template_version_preset_id,
    settled, created_at, updated_at
)
values (
    md5('b')::uuid, md5('w')::uuid, 1, 'stop', 'task_manual_pause', md5('u')::uuid, md5('j2')::uuid, md5('v')::uuid,
    md5('p')::uuid, true, now(), now()
);
insert into workspace_room (workspace_id, owner_id, organization_id, taken)
values (md5('w')::uuid, md5('u')::uuid, md5('o')::uuid, true);
insert into workspace_build_parameters values (md5('b')::uuid, 'colour', '');
insert into workspace_build_phases (workspace_build_id, workspace_id, round, phase, began_at, ended_at, outcome)
values (md5('b')::uuid, md5('w')::uuid, 1, 'queued', now(), now(), 'done');
insert into workspace_network (workspace_id, verdict, host, port, method, path, reason, count, first_at, last_at)
values (md5('w')::uuid, 'refused', 'example.org', 443, '', '', 'host_not_listed', 3, now(), now());
insert into workspace_resources values (md5('r')::uuid, md5('j2')::uuid, 'start', 'workspace', 'main', now());
insert into workspace_agents (
    id, workspace_id, workspace_build_id, resource_id, name, token_hash, generation, lifecycle, created_at, updated_at
)
values (md5('g')::uuid, md5('w')::uuid, md5('b')::uuid, md5('r')::uuid, 'main', sha256('t'), 3, 'off', now(), now());
insert into workspace_agent_log_sources values (md5('s')::uuid, md5('g')::uuid, 'start', '', now());
insert into workspace_agent_logs (agent_id, source_id, level, output, created_at)
values (md5('g')::uuid, md5('s')::uuid, 'info', E'\t\\t', now());
insert into workspace_apps (
    id, agent_id, ordinal, slug, display_name, icon, url, command, sharing_level, healthcheck_url, healthcheck_interval_s,
    healthcheck_threshold, health, created_at
)
values (
    md5('app')::uuid, md5('g')::uuid, 1, 'agent', '', '', '', '', 'owner', '', 0, 0, 'disabled', now()
);
insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)
values (md5('st')::uuid, md5('w')::uuid, md5('g')::uuid, md5('app')::uuid, 'complete', 'done', '', now());
insert into tasks (
    id, organization_id, owner_id, name, display_name, workspace_id, template_version_id, input, last_number, created_at
)
values (
    md5('task')::uuid, md5('o')::uuid, md5('u')::uuid, 'one', '', md5('w')::uuid, md5('v')::uuid, E'go\\N', 1, now()
);
insert into task_snapshots values (md5('task')::uuid, 'agentapi', '{"a":"\u0000", "a" : 1}', now());
insert into task_items (task_id, number, seq, generation, kind, turn, data, time, stored_at)
values (md5('task')::uuid, 1, 41, 3, 'agent_message', 1, '{ "text" : "\ud800 \u0000" }', now(), now());
insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at, sent_at, settled_at)
values (md5('pr')::uuid, md5('task')::uuid, 'input', md5('b')::uuid, 'go', 'delivered', now(), now(), now());
insert into task_observed (task_id, number, generation, state, session, since)
values (md5('task')::uuid, 1, 3, 'stopped', 'stopped', now());
insert into task_reports (task_id, number, summary, link, outcome, at)
values (md5('task')::uuid, 1, 'done', '', 'complete', now());
insert into task_permissions (
    task_id, number, id, generation, title, options, asked_at, answered_at, outcome, option_id, answered_by
)
values (md5('task')::uuid, 1, 'x', 3, 'May I?', '[]', now(), now(), 'selected', 'yes', 'person');
insert into secret_key (key_id, claimed_at) values ('{key_id}', now());
insert into secrets (id, user_id, name, scheme, key_id, nonce, sealed, created_at, updated_at)
values (md5('sec')::uuid, md5('u')::uuid, 'TOKEN', 1, '{key_id}', '\x000102030405060708090a0b', '\x{sealed}', now(), now());
