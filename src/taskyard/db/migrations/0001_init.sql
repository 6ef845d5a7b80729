-- Everything a first server stores. Facts only: statuses are derived (see the functions at the end).
-- Words in check constraints are the wire's; lifecycle/ and wire/enums.py hold the same lists.

-- Whose database this is: that of the data directory with this id, and of no other.
create table deployment (
    only_row boolean primary key default true check (only_row),
    id uuid not null,
    claimed_at timestamptz not null
);

create table organizations (
    id uuid primary key,
    name text not null check (name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$' and length(name) <= 36),
    display_name text not null,
    description text not null,
    icon text not null,
    is_default boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index organizations_name on organizations (lower(name));
create unique index organizations_one_default on organizations (is_default) where is_default;

create table users (
    id uuid primary key,
    username text not null check (username ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$' and length(username) <= 32),
    email text not null check (email like '%_@_%'),
    name text not null,
    avatar_url text not null,
    password_hash text,                        -- argon2id; null for users who cannot log in by password
    login_type text not null check (login_type in ('password', 'github', 'oidc', 'token', 'none')),
    status text not null check (status in ('active', 'dormant', 'suspended')),
    roles text[] not null check (roles <@ array['owner', 'template-admin', 'user-admin', 'auditor']),
    github_user_id bigint,
    deleted boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_seen_at timestamptz not null,
    check (login_type = 'password' or password_hash is null)
);
create unique index users_username on users (lower(username)) where not deleted;
create unique index users_email on users (lower(email)) where not deleted;
create unique index users_github on users (github_user_id) where not deleted;

create table organization_members (
    organization_id uuid not null references organizations (id),
    user_id uuid not null references users (id),
    roles text[] not null check (roles <@ array['organization-admin']),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (organization_id, user_id)
);
create index organization_members_user on organization_members (user_id);

create table api_keys (
    id text primary key check (length(id) = 10),
    user_id uuid not null references users (id),
    secret_hash bytea not null check (length(secret_hash) = 32),   -- SHA-256 of the secret
    login_type text not null,
    scope text not null check (scope in ('all', 'application_connect')),
    token_name text not null,                                       -- empty for session keys
    lifetime_s bigint not null check (lifetime_s > 0),
    last_used_at timestamptz not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index api_keys_user on api_keys (user_id, created_at);
create unique index api_keys_token_name on api_keys (user_id, token_name) where token_name <> '';

-- The public half of a user's SSH key. The private half is not kept: nothing of ours signs in by SSH.
create table git_ssh_keys (
    user_id uuid primary key references users (id),
    public_key text not null check (public_key like 'ssh-ed25519 %'),
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- How often somebody tried to sign in within a window of time and was not let in; rows of windows that are over
-- are swept. A subject is the hash of an email address, whether or not it is anybody's, or a network address.
create table login_attempts (
    subject text not null,
    window_start timestamptz not null,
    attempts integer not null check (attempts >= 0),
    primary key (subject, window_start)
);
create index login_attempts_window on login_attempts (window_start);

-- Who did what to which thing, written in the transaction that did it. It names things instead of referring to
-- them, because it outlives them.
create table audit_logs (
    id uuid primary key,
    at timestamptz not null,
    user_id uuid,                              -- null: nobody had signed in, or the server acted by itself
    username text not null,                    -- of the user, or the name that was tried; empty for the server itself
    action text not null check (
        action in ('create', 'write', 'delete', 'start', 'stop', 'login', 'logout')
    ),
    resource_type text not null check (
        resource_type in (
            'api_key', 'file', 'git_ssh_key', 'organization', 'organization_member', 'task', 'template',
            'template_version', 'user', 'workspace', 'workspace_build'
        )
    ),
    resource_id text not null,                 -- a UUID, or the id of an API key; empty for what was not found
    resource_name text not null,
    organization_id uuid,                      -- null for things of the whole server
    succeeded boolean not null,                -- false only for a sign-in that was refused
    changes jsonb not null,                    -- field: {old, new}; a secret is never in it
    request_id text,                           -- null when no request led to it
    ip text,
    user_agent text
);
create index audit_logs_at on audit_logs (at desc, id);
create index audit_logs_resource on audit_logs (resource_type, resource_id, at desc);
create index audit_logs_user on audit_logs (user_id, at desc);

create table files (
    id uuid primary key,
    sha256 bytea not null check (length(sha256) = 32),
    created_by uuid not null references users (id),
    mimetype text not null,
    data bytea not null,
    created_at timestamptz not null
);
create unique index files_once on files (created_by, sha256);

create table provisioner_jobs (
    id uuid primary key,
    place bigint generated always as identity,                      -- order of the queue
    type text not null check (type in ('template_version_import', 'workspace_build', 'workspace_repair')),
    organization_id uuid not null references organizations (id),
    initiator_id uuid not null references users (id),
    file_id uuid not null references files (id),
    template_version_id uuid,                                       -- of an import
    workspace_id uuid,                                              -- of a build or a repair
    workspace_build_id uuid,                                        -- of a build, or the build that is repaired
    tags jsonb not null,
    attempt integer not null default 0 check (attempt >= 0),
    run_at timestamptz not null,                                    -- not claimed before
    worker_id uuid,
    worker_name text,
    lease_expires_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    started_at timestamptz,
    canceled_at timestamptz,
    completed_at timestamptz,
    error text,
    error_code text,
    check ((started_at is null) = (worker_id is null)),
    check ((worker_id is null) = (lease_expires_at is null)),
    check (attempt = 0 or started_at is not null),
    check ((type = 'template_version_import') = (template_version_id is not null)),
    check ((type = 'template_version_import') = (workspace_build_id is null)),
    check ((workspace_build_id is null) = (workspace_id is null)),
    check (error is null or error <> '')
);
create index provisioner_jobs_open on provisioner_jobs (place) where completed_at is null;
create unique index provisioner_jobs_one_repair on provisioner_jobs (workspace_id)
    where type = 'workspace_repair' and completed_at is null;
create index provisioner_jobs_workspace on provisioner_jobs (workspace_id, place) where workspace_id is not null;

-- Who takes jobs. A row that has not moved for a while is of a worker that was killed.
create table workers (
    id uuid primary key,
    name text not null,
    running integer not null check (running >= 0),                  -- jobs in hand
    capacity integer not null check (capacity >= 1),                -- jobs at once
    seen_at timestamptz not null
);

create table provisioner_job_logs (
    id bigint generated always as identity primary key,
    job_id uuid not null references provisioner_jobs (id) on delete cascade,
    created_at timestamptz not null,
    source text not null check (source in ('provisioner_daemon', 'provisioner')),
    level text not null check (level in ('trace', 'debug', 'info', 'warn', 'error')),
    stage text not null,
    output text not null
);
create index provisioner_job_logs_job on provisioner_job_logs (job_id, id);

create table templates (
    id uuid primary key,
    organization_id uuid not null references organizations (id),
    name text not null check (name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$' and length(name) <= 32),
    display_name text not null,
    description text not null,
    icon text not null,
    provisioner text not null check (provisioner in ('terraform', 'echo')),
    active_version_id uuid not null,
    default_ttl_ms bigint not null check (default_ttl_ms >= 0),
    activity_bump_ms bigint not null check (activity_bump_ms >= 0),
    failure_ttl_ms bigint not null check (failure_ttl_ms >= 0),
    dormant_ttl_ms bigint not null check (dormant_ttl_ms >= 0),
    delete_ttl_ms bigint not null check (delete_ttl_ms >= 0),
    allow_user_cancel_workspace_jobs boolean not null,
    allow_user_autostart boolean not null,
    allow_user_autostop boolean not null,
    require_active_version boolean not null,
    deprecation_message text not null,                              -- not empty: deprecated
    deleted boolean not null default false,
    created_by uuid not null references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    autostop_days text[] not null default '{}',                     -- on which a workspace must stop
    autostop_weeks integer not null default 1 check (autostop_weeks between 1 and 16),
    autostart_days text[] not null                                  -- on which a workspace may start by itself
        default array['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'],
    max_port_share_level text not null default 'owner'
        check (max_port_share_level in ('owner', 'authenticated', 'organization', 'public')),
    cors_behavior text not null default 'simple' check (cors_behavior in ('simple', 'passthru')),
    use_classic_parameter_flow boolean not null default false,
    disable_module_cache boolean not null default false,
    check (array['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']
        @> (autostop_days || autostart_days))
);
create unique index templates_name on templates (organization_id, lower(name)) where not deleted;

create table template_versions (
    id uuid primary key,
    template_id uuid references templates (id) deferrable initially deferred,
    organization_id uuid not null references organizations (id),
    name text not null,
    message text not null check (octet_length(message) <= 1048576),
    readme text not null,
    job_id uuid not null unique references provisioner_jobs (id),
    definition jsonb,                    -- the parsed template; null until the import succeeded
    has_ai_task boolean,                 -- null until the import succeeded
    archived boolean not null default false,
    created_by uuid not null references users (id),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    provisioner text not null default 'terraform' check (provisioner in ('terraform', 'echo')), -- as its author said
    variable_names text[] not null default '{}',  -- that its author gave values for; no template of ours asks any
    check ((definition is null) = (has_ai_task is null))
);
create unique index template_versions_name on template_versions (template_id, lower(name));
create index template_versions_template on template_versions (template_id, created_at);
alter table templates add foreign key (active_version_id) references template_versions (id)
    deferrable initially deferred;

create table template_version_parameters (
    template_version_id uuid not null references template_versions (id) on delete cascade,
    ordinal integer not null,
    name text not null,
    display_name text not null,
    description text not null,
    type text not null check (type in ('string', 'number', 'bool', 'list(string)')),
    form_type text not null,
    mutable boolean not null,
    default_value text not null,
    icon text not null,
    options jsonb not null,
    validation_error text,
    validation_regex text,
    validation_min bigint,
    validation_max bigint,
    validation_monotonic text check (validation_monotonic in ('increasing', 'decreasing')),
    required boolean not null,
    ephemeral boolean not null,
    primary key (template_version_id, name)
);

create table template_version_presets (
    id uuid primary key,
    template_version_id uuid not null references template_versions (id) on delete cascade,
    ordinal integer not null,
    name text not null,
    description text not null,
    icon text not null,
    is_default boolean not null,
    parameters jsonb not null            -- [{"name", "value"}], in the template's order
);
create unique index template_version_presets_name on template_version_presets (template_version_id, name);
create unique index template_version_presets_one_default on template_version_presets (template_version_id)
    where is_default;

create table workspaces (
    id uuid primary key,
    owner_id uuid not null references users (id),
    organization_id uuid not null references organizations (id),
    template_id uuid not null references templates (id),
    name text not null check (name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$' and length(name) <= 32),
    ttl_ms bigint check (ttl_ms > 0),                               -- null: no deadline
    generation integer not null default 0 check (generation >= 0),  -- rises with each ensure of a driver
    restarts integer not null default 0 check (restarts >= 0),      -- repairs in a row; 0 after a build
    driver text,                                                    -- that holds it; null before the first build
    acked_seq bigint not null default 0 check (acked_seq >= 0),     -- highest item that we hold of it
    deleted boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_used_at timestamptz not null,
    autostart_schedule text not null default '',                    -- as it came; empty: none
    automatic_updates text not null default 'never' check (automatic_updates in ('always', 'never')),
    favorite boolean not null default false,                        -- of its owner
    dormant_at timestamptz,                                         -- since when it is set aside as unused
    deleting_at timestamptz                                         -- when it goes, if it is still dormant then
);
create unique index workspaces_name on workspaces (owner_id, lower(name)) where not deleted;
create index workspaces_template on workspaces (template_id, owner_id) where not deleted;

create table workspace_builds (
    id uuid primary key,
    workspace_id uuid not null references workspaces (id),
    build_number integer not null check (build_number >= 1),
    transition text not null check (transition in ('start', 'stop', 'delete')),
    reason text not null check (reason in (
        'initiator', 'autostart', 'autostop', 'dormancy', 'dashboard', 'cli', 'ssh_connection',
        'vscode_connection', 'jetbrains_connection', 'task_auto_pause', 'task_manual_pause', 'task_resume')),
    initiator_id uuid not null references users (id),
    job_id uuid not null unique references provisioner_jobs (id),
    template_version_id uuid not null references template_versions (id),
    template_version_preset_id uuid references template_version_presets (id),
    deadline timestamptz,
    max_deadline timestamptz,
    agent_id uuid,                       -- the agent and the app that take the task's input;
    app_id uuid,                         -- filled when a start succeeded for a template with a task
    settled boolean not null default false,                         -- true once the job is completed
    orphan boolean not null default false,                          -- a delete that leaves the driver alone
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (workspace_id, build_number),
    check (transition = 'start' or (agent_id is null and app_id is null and deadline is null))
);
create unique index workspace_builds_one_active on workspace_builds (workspace_id) where not settled;
create index workspace_builds_newest on workspace_builds (workspace_id, build_number desc);
create index workspace_builds_version on workspace_builds (template_version_id, created_at desc);

create table workspace_build_parameters (
    workspace_build_id uuid not null references workspace_builds (id) on delete cascade,
    name text not null,
    value text not null,
    primary key (workspace_build_id, name)
);

create table workspace_resources (
    id uuid primary key,
    job_id uuid not null references provisioner_jobs (id),
    transition text not null check (transition in ('start', 'stop', 'delete')),
    type text not null,
    name text not null,
    created_at timestamptz not null
);
create index workspace_resources_job on workspace_resources (job_id);

create table workspace_agents (
    id uuid primary key,
    workspace_id uuid not null references workspaces (id),
    workspace_build_id uuid not null references workspace_builds (id),
    resource_id uuid not null references workspace_resources (id),
    name text not null,
    token_hash bytea not null check (length(token_hash) = 32),      -- SHA-256 of the current generation's token
    generation integer not null check (generation >= 1),
    lifecycle text not null default 'created' check (lifecycle in (
        'created', 'starting', 'start_timeout', 'start_error', 'ready',
        'shutting_down', 'shutdown_timeout', 'shutdown_error', 'off')),
    version text not null default '',
    directory text not null default '',
    server_id uuid,                      -- the server that holds its link; null when not connected
    first_connected_at timestamptz,
    last_connected_at timestamptz,
    disconnected_at timestamptz,
    lease_expires_at timestamptz,
    started_at timestamptz,
    ready_at timestamptz,
    logs_length integer not null default 0,
    logs_overflowed boolean not null default false,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index workspace_agents_token on workspace_agents (token_hash);
create index workspace_agents_build on workspace_agents (workspace_build_id);
create index workspace_agents_resource on workspace_agents (resource_id);

create table workspace_agent_log_sources (
    id uuid not null,
    agent_id uuid not null references workspace_agents (id) on delete cascade,
    display_name text not null,
    icon text not null,
    created_at timestamptz not null,
    primary key (agent_id, id)
);

create table workspace_agent_logs (
    id bigint generated always as identity primary key,
    agent_id uuid not null references workspace_agents (id) on delete cascade,
    source_id uuid not null,
    level text not null check (level in ('trace', 'debug', 'info', 'warn', 'error')),
    output text not null,
    created_at timestamptz not null,
    foreign key (agent_id, source_id) references workspace_agent_log_sources (agent_id, id)
);
create index workspace_agent_logs_agent on workspace_agent_logs (agent_id, id);

create table workspace_apps (
    id uuid primary key,
    agent_id uuid not null references workspace_agents (id) on delete cascade,
    ordinal integer not null,
    slug text not null,
    display_name text not null,
    icon text not null,
    url text not null,
    command text not null,
    sharing_level text not null check (sharing_level in ('owner', 'authenticated', 'organization', 'public')),
    healthcheck_url text not null,
    healthcheck_interval_s integer not null,
    healthcheck_threshold integer not null,
    health text not null check (health in ('disabled', 'initializing', 'healthy', 'unhealthy')),
    created_at timestamptz not null,
    unique (agent_id, slug),
    check ((healthcheck_url = '') = (health = 'disabled'))
);

create table workspace_app_statuses (
    id uuid primary key,
    place bigint generated always as identity,
    workspace_id uuid not null references workspaces (id),
    agent_id uuid not null references workspace_agents (id),
    app_id uuid not null references workspace_apps (id),
    state text not null check (state in ('working', 'idle', 'complete', 'failure')),
    message text not null,
    uri text not null,
    created_at timestamptz not null
);
create index workspace_app_statuses_newest on workspace_app_statuses (workspace_id, place desc);
create index workspace_app_statuses_app on workspace_app_statuses (app_id, place desc);

create table tasks (
    id uuid primary key,
    organization_id uuid not null references organizations (id),
    owner_id uuid not null references users (id),
    name text not null check (name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$' and length(name) <= 32),
    display_name text not null,
    workspace_id uuid not null unique references workspaces (id),
    template_version_id uuid not null references template_versions (id),
    input text not null,
    last_number bigint not null default 0 check (last_number >= 0), -- of its newest transcript item
    created_at timestamptz not null,
    deleted_at timestamptz
);
create unique index tasks_name on tasks (owner_id, lower(name)) where deleted_at is null;
create index tasks_newest on tasks (created_at desc, id desc) where deleted_at is null;
create index tasks_owner_newest on tasks (owner_id, created_at desc, id desc) where deleted_at is null;
create index tasks_organization_newest on tasks (organization_id, created_at desc, id desc) where deleted_at is null;

create table task_snapshots (
    task_id uuid primary key references tasks (id) on delete cascade,
    format text not null,
    data json not null,                                             -- as it came: jsonb refuses \u0000
    created_at timestamptz not null
);

create table task_items (
    task_id uuid not null references tasks (id),
    number bigint not null check (number >= 1),                     -- per task, from 1, without gaps
    seq bigint check (seq >= 1),                                    -- the workspace's own number of it;
    generation integer,                                             -- both null for items of the server
    kind text not null,
    turn integer not null,
    data json not null,                                             -- as it came: jsonb refuses \u0000
    time timestamptz not null,                                      -- by the workspace's clock
    stored_at timestamptz not null,
    primary key (task_id, number),
    unique (task_id, seq),
    check ((seq is null) = (generation is null))
);

create table task_prompts (
    id uuid primary key,
    task_id uuid not null references tasks (id),
    place bigint generated always as identity,
    source text not null check (source in ('input', 'queue')),
    workspace_build_id uuid references workspace_builds (id),       -- of an input: the start it belongs to
    content text not null check (content <> ''),
    state text not null check (state in ('waiting', 'sending', 'delivered', 'uncertain', 'failed')),
    error text,
    created_at timestamptz not null,
    sent_at timestamptz,                 -- when it was marked, before anything left the server
    settled_at timestamptz,
    check ((state = 'waiting') = (sent_at is null)),
    check ((state in ('delivered', 'uncertain', 'failed')) = (settled_at is not null)),
    check ((source = 'input') = (workspace_build_id is not null))
);
create unique index task_prompts_one_input on task_prompts (workspace_build_id) where source = 'input';
create index task_prompts_waiting on task_prompts (task_id, place) where state in ('waiting', 'sending');
create index task_prompts_delivered on task_prompts (task_id, place desc) where state = 'delivered';

-- The status of a job, from its facts. Mirrors lifecycle/job.py.
create function job_status(
    started_at timestamptz, completed_at timestamptz, canceled_at timestamptz, error text
) returns text language sql immutable parallel safe as $$
    select case
        when completed_at is not null and error is not null then 'failed'
        when completed_at is not null and canceled_at is not null then 'canceled'
        when completed_at is not null then 'succeeded'
        when error is not null then 'failed'
        when canceled_at is not null then 'canceling'
        when started_at is null then 'pending'
        else 'running'
    end
$$;

-- The status of a task, from its facts; a null transition means that there is no build. Mirrors lifecycle/task.py.
create function task_status(
    transition text, job_status text, agent_lifecycle text, app_health text
) returns text language sql immutable parallel safe as $$
    select case
        when transition is null or job_status is null then 'pending'
        when job_status in ('failed', 'canceling', 'canceled') then 'error'
        when transition in ('stop', 'delete') and job_status = 'succeeded' then 'paused'
        when transition = 'start' and job_status = 'pending' then 'pending'
        when transition in ('stop', 'delete') and job_status in ('pending', 'running') then 'unknown'
        when transition <> 'start' or job_status not in ('running', 'succeeded') then 'unknown'
        when agent_lifecycle is null or agent_lifecycle in ('created', 'starting') then 'initializing'
        when agent_lifecycle not in ('ready', 'start_timeout', 'start_error') then 'unknown'
        when app_health = 'initializing' then 'initializing'
        when app_health = 'unhealthy' then 'error'
        when app_health in ('healthy', 'disabled') then 'active'
        else 'unknown'
    end
$$;

-- A job with its place among those that nobody has begun, from 1, and their number; repairs are not counted.
create view job_facts as
select
    j.id, j.type, j.organization_id, j.initiator_id, j.file_id, j.template_version_id, j.workspace_id,
    j.workspace_build_id, j.tags, j.attempt, j.run_at, j.worker_id, j.worker_name, j.lease_expires_at,
    j.created_at, j.updated_at, j.started_at, j.canceled_at, j.completed_at, j.error, j.error_code,
    case when j.started_at is null and j.completed_at is null then (
        select count(*) from provisioner_jobs p
        where p.completed_at is null and p.started_at is null and p.type <> 'workspace_repair' and p.place <= j.place
    ) else 0 end as queue_position,
    (
        select count(*) from provisioner_jobs p
        where p.completed_at is null and p.started_at is null and p.type <> 'workspace_repair'
    ) as queue_size
from provisioner_jobs j;

-- The workers that were heard of lately: a live one says so every five seconds.
create view worker_facts as
select
    count(*) as workers_count, count(*) filter (where running < capacity) as workers_available,
    max(seen_at) as workers_seen_at
from workers
where seen_at > now() - interval '20 seconds';

-- A build with its job and the names that the wire shows beside their ids.
create view build_facts as
select
    b.id, b.workspace_id, w.name as workspace_name, w.owner_id as workspace_owner_id,
    o.username as workspace_owner_name, o.avatar_url as workspace_owner_avatar_url, w.organization_id,
    w.template_id, b.template_version_id, v.name as template_version_name, v.has_ai_task,
    b.template_version_preset_id, b.build_number, b.transition, b.reason, b.initiator_id,
    i.username as initiator_name, b.deadline, b.max_deadline, b.agent_id, b.app_id, b.created_at, b.updated_at,
    b.job_id, j.type as job_type, j.organization_id as job_organization_id, j.initiator_id as job_initiator_id,
    j.file_id as job_file_id, j.template_version_id as job_template_version_id, j.workspace_id as job_workspace_id,
    j.workspace_build_id as job_workspace_build_id, j.tags as job_tags, j.attempt as job_attempt,
    j.run_at as job_run_at, j.worker_id as job_worker_id, j.worker_name as job_worker_name,
    j.lease_expires_at as job_lease_expires_at, j.created_at as job_created_at, j.updated_at as job_updated_at,
    j.started_at as job_started_at, j.canceled_at as job_canceled_at, j.completed_at as job_completed_at,
    j.error as job_error, j.error_code as job_error_code, j.queue_position as job_queue_position,
    j.queue_size as job_queue_size, s.workers_count, s.workers_available, s.workers_seen_at
from workspace_builds b
join workspaces w on w.id = b.workspace_id
join users o on o.id = w.owner_id
join users i on i.id = b.initiator_id
join template_versions v on v.id = b.template_version_id
join job_facts j on j.id = b.job_id
cross join worker_facts s;

-- The status of a build in one word, from its job; of a workspace when it is the newest. Mirrors lifecycle/workspace.py.
create function workspace_status(
    transition text, job_status text
) returns text language sql immutable parallel safe as $$
    select case
        when transition is null or job_status is null then null
        when job_status in ('pending', 'canceling', 'canceled') then job_status
        when job_status = 'running' then
            case transition when 'start' then 'starting' when 'stop' then 'stopping' else 'deleting' end
        when job_status = 'succeeded' then
            case transition when 'start' then 'running' when 'stop' then 'stopped' else 'deleted' end
        else 'failed'
    end
$$;

-- Every API key with whom it lets in; what is the user's is null when they were deleted.
create view askers as
select
    k.id as key_id, k.secret_hash, k.login_type, k.lifetime_s, k.last_used_at, k.expires_at, u.id as user_id,
    u.username, u.status, u.roles, m.member_of, m.admin_of
from api_keys k
left join users u on u.id = k.user_id and not u.deleted
cross join lateral (
    select
        coalesce(array_agg(o.organization_id), '{}') as member_of,
        coalesce(array_agg(o.organization_id) filter (where 'organization-admin' = any(o.roles)), '{}') as admin_of
    from organization_members o
    where o.user_id = u.id
) m;

-- Every live task with the facts that decide over it and the names that the wire shows beside its ids: its
-- workspace, the newest build of that with its job, the agent and the app which exactly that build chose, and the
-- newest report from the workspace.
create view task_facts as
select
    t.id, t.organization_id, t.owner_id, u.username as owner_name, u.avatar_url as owner_avatar_url, t.name,
    t.display_name, t.template_version_id, t.input, t.created_at, t.workspace_id, w.name as workspace_name,
    w.deleted as workspace_deleted, w.updated_at as workspace_updated_at, w.template_id,
    p.name as template_name, p.display_name as template_display_name, p.icon as template_icon,
    b.id as build_id, b.build_number, b.transition, b.created_at as build_created_at,
    b.template_version_id as build_template_version_id,
    job_status(j.started_at, j.completed_at, j.canceled_at, j.error) as job_status,
    a.id as agent_id, a.lifecycle as agent_lifecycle, a.created_at as agent_created_at,
    a.first_connected_at as agent_first_connected_at, a.last_connected_at as agent_last_connected_at,
    a.disconnected_at as agent_disconnected_at, app.id as app_id, app.health as app_health, app.url as app_url,
    s.state as report_state, s.message as report_message, s.uri as report_uri, s.created_at as report_created_at,
    task_status(
        b.transition, job_status(j.started_at, j.completed_at, j.canceled_at, j.error), a.lifecycle, app.health
    ) as status
from tasks t
join users u on u.id = t.owner_id
join workspaces w on w.id = t.workspace_id
join templates p on p.id = w.template_id
left join lateral (
    select n.id, n.build_number, n.transition, n.created_at, n.template_version_id, n.job_id, n.agent_id, n.app_id
    from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b on true
left join provisioner_jobs j on j.id = b.job_id
left join workspace_agents a on a.id = b.agent_id
left join workspace_apps app on app.id = b.app_id
left join lateral (
    select r.state, r.message, r.uri, r.created_at
    from workspace_app_statuses r
    where r.workspace_id = w.id
    order by r.place desc
    limit 1
) s on true
where t.deleted_at is null;

-- Every workspace, deleted ones too, with its newest build and the names that the wire shows beside its ids.
create view workspace_facts as
select
    w.id, w.owner_id, o.username as owner_name, o.avatar_url as owner_avatar_url, w.organization_id,
    g.name as organization_name, w.template_id, p.name as template_name, p.display_name as template_display_name,
    p.icon as template_icon, p.allow_user_cancel_workspace_jobs, p.allow_user_autostop, p.active_version_id,
    p.require_active_version, p.use_classic_parameter_flow,
    w.name, w.ttl_ms, w.deleted, w.created_at, w.updated_at, w.last_used_at, b.id as build_id, b.build_number,
    b.template_version_id, v.has_ai_task, w.autostart_schedule, w.automatic_updates, w.favorite, w.dormant_at,
    w.deleting_at,
    workspace_status(
        b.transition, job_status(j.started_at, j.completed_at, j.canceled_at, j.error)
    ) as status,
    t.id as task_id
from workspaces w
join users o on o.id = w.owner_id
join organizations g on g.id = w.organization_id
join templates p on p.id = w.template_id
join lateral (
    select n.id, n.build_number, n.transition, n.template_version_id, n.job_id
    from workspace_builds n
    where n.workspace_id = w.id
    order by n.build_number desc
    limit 1
) b on true
join provisioner_jobs j on j.id = b.job_id
join template_versions v on v.id = b.template_version_id
left join tasks t on t.workspace_id = w.id;

-- How many users have a live workspace of a template. It steps from owner to owner in the index, as there are many
-- workspaces and few owners.
create function template_user_count(wanted uuid) returns bigint language sql stable parallel safe as $$
    with recursive owners (id) as (
        (
            select w.owner_id from workspaces w
            where w.template_id = wanted and not w.deleted
            order by w.owner_id limit 1
        )
        union all
        select (
            select w.owner_id from workspaces w
            where w.template_id = wanted and not w.deleted and w.owner_id > o.id
            order by w.owner_id limit 1
        )
        from owners o
        where o.id is not null
    )
    select count(id) from owners
$$;

-- How long the builds of a template took, in milliseconds: median and 95th percentile by transition, of those among
-- the newest hundred of each version that succeeded.
create function template_build_times(wanted uuid) returns jsonb language sql stable parallel safe as $$
    select coalesce(jsonb_object_agg(took.transition, jsonb_build_array(took.p50, took.p95)), '{}')
    from (
        select
            b.transition,
            round(percentile_disc(0.5) within group (order by b.ms))::bigint as p50,
            round(percentile_disc(0.95) within group (order by b.ms))::bigint as p95
        from template_versions v
        cross join lateral (
            select n.transition, extract(epoch from j.completed_at - j.started_at) * 1000 as ms
            from (
                select newest.transition, newest.job_id from workspace_builds newest
                where newest.template_version_id = v.id
                order by newest.created_at desc
                limit 100
            ) n
            join provisioner_jobs j on j.id = n.job_id
            where j.completed_at is not null and j.started_at is not null
                and j.error is null and j.canceled_at is null
        ) b
        where v.template_id = wanted
        group by b.transition
    ) took
$$;

-- Every template, deleted ones too, with the names that the wire shows beside its ids, the number of users who have
-- a workspace of it, and whether its active version runs tasks.
create view template_facts as
select
    t.id, t.organization_id, g.name as organization_name, g.display_name as organization_display_name,
    g.icon as organization_icon, t.name, t.display_name, t.description, t.icon, t.provisioner, t.active_version_id,
    coalesce(v.has_ai_task, false) as has_ai_task, template_user_count(t.id) as active_user_count,
    t.default_ttl_ms, t.activity_bump_ms, t.failure_ttl_ms, t.dormant_ttl_ms, t.delete_ttl_ms,
    t.allow_user_cancel_workspace_jobs, t.allow_user_autostart, t.allow_user_autostop, t.require_active_version,
    t.deprecation_message, t.deleted, t.created_by, u.username as created_by_name, t.created_at, t.updated_at,
    t.autostop_days, t.autostop_weeks, t.autostart_days, t.max_port_share_level, t.cors_behavior,
    t.use_classic_parameter_flow, t.disable_module_cache,
    template_build_times(t.id) as build_times
from templates t
join organizations g on g.id = t.organization_id
join template_versions v on v.id = t.active_version_id
join users u on u.id = t.created_by;

-- Every template version with its job, its author, and the names of its template, which are null while it has none.
create view version_facts as
select
    v.id, v.template_id, t.name as template_name, t.display_name as template_display_name, t.icon as template_icon,
    v.organization_id, v.name, v.message, v.readme, v.archived, coalesce(v.definition -> 'warnings', '[]') as warnings,
    v.variable_names, v.created_by, u.username as created_by_username, u.name as created_by_name, u.avatar_url as created_by_avatar_url,
    v.created_at, v.updated_at,
    v.job_id, j.type as job_type, j.organization_id as job_organization_id, j.initiator_id as job_initiator_id,
    j.file_id as job_file_id, j.template_version_id as job_template_version_id, j.workspace_id as job_workspace_id,
    j.workspace_build_id as job_workspace_build_id, j.tags as job_tags, j.attempt as job_attempt,
    j.run_at as job_run_at, j.worker_id as job_worker_id, j.worker_name as job_worker_name,
    j.lease_expires_at as job_lease_expires_at, j.created_at as job_created_at, j.updated_at as job_updated_at,
    j.started_at as job_started_at, j.canceled_at as job_canceled_at, j.completed_at as job_completed_at,
    j.error as job_error, j.error_code as job_error_code, j.queue_position as job_queue_position,
    j.queue_size as job_queue_size, s.workers_count, s.workers_available, s.workers_seen_at
from template_versions v
join users u on u.id = v.created_by
join job_facts j on j.id = v.job_id
cross join worker_facts s
left join templates t on t.id = v.template_id;
