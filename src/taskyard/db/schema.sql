-- The schema that all migrations together make, for readers. Nothing runs this file.
-- Made by `./yard docs` from src/taskyard/db/migrations/, which is what counts.

CREATE FUNCTION public.job_status(started_at timestamp with time zone, completed_at timestamp with time zone, canceled_at timestamp with time zone, error text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION public.task_status(transition text, job_status text, agent_lifecycle text, app_health text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION public.template_build_times(wanted uuid) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION public.template_user_count(wanted uuid) RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
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

CREATE FUNCTION public.workspace_status(transition text, job_status text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
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

CREATE TABLE public.api_keys (
    id text NOT NULL,
    user_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    login_type text NOT NULL,
    scope text NOT NULL,
    token_name text NOT NULL,
    lifetime_s bigint NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT api_keys_id_check CHECK ((length(id) = 10)),
    CONSTRAINT api_keys_lifetime_s_check CHECK ((lifetime_s > 0)),
    CONSTRAINT api_keys_scope_check CHECK ((scope = ANY (ARRAY['all'::text, 'application_connect'::text]))),
    CONSTRAINT api_keys_secret_hash_check CHECK ((length(secret_hash) = 32))
);

CREATE TABLE public.organization_members (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    roles text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT organization_members_roles_check CHECK ((roles <@ ARRAY['organization-admin'::text]))
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    username text NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    avatar_url text NOT NULL,
    password_hash text,
    login_type text NOT NULL,
    status text NOT NULL,
    roles text[] NOT NULL,
    github_user_id bigint,
    deleted boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    CONSTRAINT users_check CHECK (((login_type = 'password'::text) OR (password_hash IS NULL))),
    CONSTRAINT users_email_check CHECK ((email ~~ '%_@_%'::text)),
    CONSTRAINT users_login_type_check CHECK ((login_type = ANY (ARRAY['password'::text, 'github'::text, 'oidc'::text, 'token'::text, 'none'::text]))),
    CONSTRAINT users_roles_check CHECK ((roles <@ ARRAY['owner'::text, 'template-admin'::text, 'user-admin'::text, 'auditor'::text])),
    CONSTRAINT users_status_check CHECK ((status = ANY (ARRAY['active'::text, 'dormant'::text, 'suspended'::text]))),
    CONSTRAINT users_username_check CHECK (((username ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'::text) AND (length(username) <= 32)))
);

CREATE VIEW public.askers AS
 SELECT k.id AS key_id,
    k.secret_hash,
    k.login_type,
    k.lifetime_s,
    k.last_used_at,
    k.expires_at,
    u.id AS user_id,
    u.username,
    u.status,
    u.roles,
    m.member_of,
    m.admin_of
   FROM ((public.api_keys k
     LEFT JOIN public.users u ON (((u.id = k.user_id) AND (NOT u.deleted))))
     CROSS JOIN LATERAL ( SELECT COALESCE(array_agg(o.organization_id), '{}'::uuid[]) AS member_of,
            COALESCE(array_agg(o.organization_id) FILTER (WHERE ('organization-admin'::text = ANY (o.roles))), '{}'::uuid[]) AS admin_of
           FROM public.organization_members o
          WHERE (o.user_id = u.id)) m);

CREATE TABLE public.audit_logs (
    id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    user_id uuid,
    username text NOT NULL,
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id text NOT NULL,
    resource_name text NOT NULL,
    organization_id uuid,
    succeeded boolean NOT NULL,
    changes jsonb NOT NULL,
    request_id text,
    ip text,
    user_agent text,
    CONSTRAINT audit_logs_action_check CHECK ((action = ANY (ARRAY['create'::text, 'write'::text, 'delete'::text, 'start'::text, 'stop'::text, 'login'::text, 'logout'::text])))
);

CREATE TABLE public.provisioner_jobs (
    id uuid NOT NULL,
    place bigint NOT NULL,
    type text NOT NULL,
    organization_id uuid NOT NULL,
    initiator_id uuid NOT NULL,
    file_id uuid NOT NULL,
    template_version_id uuid,
    workspace_id uuid,
    workspace_build_id uuid,
    tags jsonb NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    run_at timestamp with time zone NOT NULL,
    worker_id uuid,
    worker_name text,
    lease_expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    canceled_at timestamp with time zone,
    completed_at timestamp with time zone,
    error text,
    error_code text,
    CONSTRAINT provisioner_jobs_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT provisioner_jobs_check CHECK (((started_at IS NULL) = (worker_id IS NULL))),
    CONSTRAINT provisioner_jobs_check1 CHECK (((worker_id IS NULL) = (lease_expires_at IS NULL))),
    CONSTRAINT provisioner_jobs_check2 CHECK (((attempt = 0) OR (started_at IS NOT NULL))),
    CONSTRAINT provisioner_jobs_check3 CHECK (((type = 'template_version_import'::text) = (template_version_id IS NOT NULL))),
    CONSTRAINT provisioner_jobs_check4 CHECK (((type = 'template_version_import'::text) = (workspace_build_id IS NULL))),
    CONSTRAINT provisioner_jobs_check5 CHECK (((workspace_build_id IS NULL) = (workspace_id IS NULL))),
    CONSTRAINT provisioner_jobs_error_check CHECK (((error IS NULL) OR (error <> ''::text))),
    CONSTRAINT provisioner_jobs_type_check CHECK ((type = ANY (ARRAY['template_version_import'::text, 'workspace_build'::text, 'workspace_repair'::text])))
);

CREATE VIEW public.job_facts AS
 SELECT id,
    type,
    organization_id,
    initiator_id,
    file_id,
    template_version_id,
    workspace_id,
    workspace_build_id,
    tags,
    attempt,
    run_at,
    worker_id,
    worker_name,
    lease_expires_at,
    created_at,
    updated_at,
    started_at,
    canceled_at,
    completed_at,
    error,
    error_code,
        CASE
            WHEN ((started_at IS NULL) AND (completed_at IS NULL)) THEN ( SELECT count(*) AS count
               FROM public.provisioner_jobs p
              WHERE ((p.completed_at IS NULL) AND (p.started_at IS NULL) AND (p.type <> 'workspace_repair'::text) AND (p.place <= j.place)))
            ELSE (0)::bigint
        END AS queue_position,
    ( SELECT count(*) AS count
           FROM public.provisioner_jobs p
          WHERE ((p.completed_at IS NULL) AND (p.started_at IS NULL) AND (p.type <> 'workspace_repair'::text))) AS queue_size
   FROM public.provisioner_jobs j;

CREATE TABLE public.template_versions (
    id uuid NOT NULL,
    template_id uuid,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    message text NOT NULL,
    readme text NOT NULL,
    job_id uuid NOT NULL,
    definition jsonb,
    has_ai_task boolean,
    archived boolean DEFAULT false NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    provisioner text DEFAULT 'terraform'::text NOT NULL,
    variable_names text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT template_versions_check CHECK (((definition IS NULL) = (has_ai_task IS NULL))),
    CONSTRAINT template_versions_message_check CHECK ((octet_length(message) <= 1048576)),
    CONSTRAINT template_versions_provisioner_check CHECK ((provisioner = ANY (ARRAY['terraform'::text, 'echo'::text])))
);

CREATE TABLE public.workers (
    id uuid NOT NULL,
    name text NOT NULL,
    running integer NOT NULL,
    capacity integer NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT workers_capacity_check CHECK ((capacity >= 1)),
    CONSTRAINT workers_running_check CHECK ((running >= 0))
);

CREATE VIEW public.worker_facts AS
 SELECT count(*) AS workers_count,
    count(*) FILTER (WHERE (running < capacity)) AS workers_available,
    max(seen_at) AS workers_seen_at
   FROM public.workers
  WHERE (seen_at > (now() - '00:00:20'::interval));

CREATE TABLE public.workspace_builds (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    build_number integer NOT NULL,
    transition text NOT NULL,
    reason text NOT NULL,
    initiator_id uuid NOT NULL,
    job_id uuid NOT NULL,
    template_version_id uuid NOT NULL,
    template_version_preset_id uuid,
    deadline timestamp with time zone,
    max_deadline timestamp with time zone,
    agent_id uuid,
    app_id uuid,
    settled boolean DEFAULT false NOT NULL,
    orphan boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_builds_build_number_check CHECK ((build_number >= 1)),
    CONSTRAINT workspace_builds_check CHECK (((transition = 'start'::text) OR ((agent_id IS NULL) AND (app_id IS NULL) AND (deadline IS NULL)))),
    CONSTRAINT workspace_builds_reason_check CHECK ((reason = ANY (ARRAY['initiator'::text, 'autostart'::text, 'autostop'::text, 'dormancy'::text, 'dashboard'::text, 'cli'::text, 'ssh_connection'::text, 'vscode_connection'::text, 'jetbrains_connection'::text, 'task_auto_pause'::text, 'task_manual_pause'::text, 'task_resume'::text]))),
    CONSTRAINT workspace_builds_transition_check CHECK ((transition = ANY (ARRAY['start'::text, 'stop'::text, 'delete'::text])))
);

CREATE TABLE public.workspaces (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    template_id uuid NOT NULL,
    name text NOT NULL,
    ttl_ms bigint,
    generation integer DEFAULT 0 NOT NULL,
    restarts integer DEFAULT 0 NOT NULL,
    driver text,
    acked_seq bigint DEFAULT 0 NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    autostart_schedule text DEFAULT ''::text NOT NULL,
    automatic_updates text DEFAULT 'never'::text NOT NULL,
    favorite boolean DEFAULT false NOT NULL,
    dormant_at timestamp with time zone,
    deleting_at timestamp with time zone,
    CONSTRAINT workspaces_acked_seq_check CHECK ((acked_seq >= 0)),
    CONSTRAINT workspaces_automatic_updates_check CHECK ((automatic_updates = ANY (ARRAY['always'::text, 'never'::text]))),
    CONSTRAINT workspaces_generation_check CHECK ((generation >= 0)),
    CONSTRAINT workspaces_name_check CHECK (((name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'::text) AND (length(name) <= 32))),
    CONSTRAINT workspaces_restarts_check CHECK ((restarts >= 0)),
    CONSTRAINT workspaces_ttl_ms_check CHECK ((ttl_ms > 0))
);

CREATE VIEW public.build_facts AS
 SELECT b.id,
    b.workspace_id,
    w.name AS workspace_name,
    w.owner_id AS workspace_owner_id,
    o.username AS workspace_owner_name,
    o.avatar_url AS workspace_owner_avatar_url,
    w.organization_id,
    w.template_id,
    b.template_version_id,
    v.name AS template_version_name,
    v.has_ai_task,
    b.template_version_preset_id,
    b.build_number,
    b.transition,
    b.reason,
    b.initiator_id,
    i.username AS initiator_name,
    b.deadline,
    b.max_deadline,
    b.agent_id,
    b.app_id,
    b.created_at,
    b.updated_at,
    b.job_id,
    j.type AS job_type,
    j.organization_id AS job_organization_id,
    j.initiator_id AS job_initiator_id,
    j.file_id AS job_file_id,
    j.template_version_id AS job_template_version_id,
    j.workspace_id AS job_workspace_id,
    j.workspace_build_id AS job_workspace_build_id,
    j.tags AS job_tags,
    j.attempt AS job_attempt,
    j.run_at AS job_run_at,
    j.worker_id AS job_worker_id,
    j.worker_name AS job_worker_name,
    j.lease_expires_at AS job_lease_expires_at,
    j.created_at AS job_created_at,
    j.updated_at AS job_updated_at,
    j.started_at AS job_started_at,
    j.canceled_at AS job_canceled_at,
    j.completed_at AS job_completed_at,
    j.error AS job_error,
    j.error_code AS job_error_code,
    j.queue_position AS job_queue_position,
    j.queue_size AS job_queue_size,
    s.workers_count,
    s.workers_available,
    s.workers_seen_at
   FROM ((((((public.workspace_builds b
     JOIN public.workspaces w ON ((w.id = b.workspace_id)))
     JOIN public.users o ON ((o.id = w.owner_id)))
     JOIN public.users i ON ((i.id = b.initiator_id)))
     JOIN public.template_versions v ON ((v.id = b.template_version_id)))
     JOIN public.job_facts j ON ((j.id = b.job_id)))
     CROSS JOIN public.worker_facts s);

CREATE TABLE public.deployment (
    only_row boolean DEFAULT true NOT NULL,
    id uuid NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    CONSTRAINT deployment_only_row_check CHECK (only_row)
);

CREATE TABLE public.files (
    id uuid NOT NULL,
    sha256 bytea NOT NULL,
    created_by uuid NOT NULL,
    mimetype text NOT NULL,
    data bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT files_sha256_check CHECK ((length(sha256) = 32))
);

CREATE TABLE public.git_ssh_keys (
    user_id uuid NOT NULL,
    public_key text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT git_ssh_keys_public_key_check CHECK ((public_key ~~ 'ssh-ed25519 %'::text))
);

CREATE TABLE public.login_attempts (
    subject text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    CONSTRAINT login_attempts_attempts_check CHECK ((attempts >= 0))
);

CREATE TABLE public.organizations (
    id uuid NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    icon text NOT NULL,
    is_default boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT organizations_name_check CHECK (((name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'::text) AND (length(name) <= 36)))
);

CREATE TABLE public.provisioner_job_logs (
    id bigint NOT NULL,
    job_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    source text NOT NULL,
    level text NOT NULL,
    stage text NOT NULL,
    output text NOT NULL,
    CONSTRAINT provisioner_job_logs_level_check CHECK ((level = ANY (ARRAY['trace'::text, 'debug'::text, 'info'::text, 'warn'::text, 'error'::text]))),
    CONSTRAINT provisioner_job_logs_source_check CHECK ((source = ANY (ARRAY['provisioner_daemon'::text, 'provisioner'::text])))
);

ALTER TABLE public.provisioner_job_logs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.provisioner_job_logs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.provisioner_jobs ALTER COLUMN place ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.provisioner_jobs_place_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.secret_key (
    only_row boolean DEFAULT true NOT NULL,
    key_id text NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    CONSTRAINT secret_key_only_row_check CHECK (only_row)
);

CREATE TABLE public.secrets (
    id uuid NOT NULL,
    organization_id uuid,
    template_id uuid,
    user_id uuid,
    name text NOT NULL,
    scheme smallint NOT NULL,
    key_id text NOT NULL,
    nonce bytea NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT secrets_check CHECK ((num_nonnulls(organization_id, template_id, user_id) = 1)),
    CONSTRAINT secrets_name_check CHECK (((name ~ '^[A-Za-z_][A-Za-z0-9_]*$'::text) AND (length(name) <= 128))),
    CONSTRAINT secrets_nonce_check CHECK ((length(nonce) = 12)),
    CONSTRAINT secrets_sealed_check CHECK (((length(sealed) >= 17) AND (length(sealed) <= 65552)))
);

CREATE TABLE public.task_observed (
    task_id uuid NOT NULL,
    number bigint NOT NULL,
    generation integer NOT NULL,
    state text NOT NULL,
    session text NOT NULL,
    reason text,
    waiting_kind text,
    waiting_id text,
    waiting_title text,
    since timestamp with time zone NOT NULL,
    CONSTRAINT task_observed_check CHECK (((state = 'waiting'::text) = (waiting_kind IS NOT NULL))),
    CONSTRAINT task_observed_check1 CHECK ((((waiting_kind IS NULL) = (waiting_id IS NULL)) AND ((waiting_kind IS NULL) = (waiting_title IS NULL)))),
    CONSTRAINT task_observed_generation_check CHECK ((generation >= 0)),
    CONSTRAINT task_observed_number_check CHECK ((number >= 1)),
    CONSTRAINT task_observed_state_check CHECK ((state = ANY (ARRAY['starting'::text, 'working'::text, 'waiting'::text, 'idle'::text, 'failed'::text, 'stopped'::text])))
);

CREATE TABLE public.tasks (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL,
    workspace_id uuid NOT NULL,
    template_version_id uuid NOT NULL,
    input text NOT NULL,
    last_number bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT tasks_last_number_check CHECK ((last_number >= 0)),
    CONSTRAINT tasks_name_check CHECK (((name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'::text) AND (length(name) <= 32)))
);

CREATE TABLE public.templates (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    icon text NOT NULL,
    provisioner text NOT NULL,
    active_version_id uuid NOT NULL,
    default_ttl_ms bigint NOT NULL,
    activity_bump_ms bigint NOT NULL,
    failure_ttl_ms bigint NOT NULL,
    dormant_ttl_ms bigint NOT NULL,
    delete_ttl_ms bigint NOT NULL,
    allow_user_cancel_workspace_jobs boolean NOT NULL,
    allow_user_autostart boolean NOT NULL,
    allow_user_autostop boolean NOT NULL,
    require_active_version boolean NOT NULL,
    deprecation_message text NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    autostop_days text[] DEFAULT '{}'::text[] NOT NULL,
    autostop_weeks integer DEFAULT 1 NOT NULL,
    autostart_days text[] DEFAULT ARRAY['monday'::text, 'tuesday'::text, 'wednesday'::text, 'thursday'::text, 'friday'::text, 'saturday'::text, 'sunday'::text] NOT NULL,
    max_port_share_level text DEFAULT 'owner'::text NOT NULL,
    cors_behavior text DEFAULT 'simple'::text NOT NULL,
    use_classic_parameter_flow boolean DEFAULT false NOT NULL,
    disable_module_cache boolean DEFAULT false NOT NULL,
    CONSTRAINT templates_activity_bump_ms_check CHECK ((activity_bump_ms >= 0)),
    CONSTRAINT templates_autostop_weeks_check CHECK (((autostop_weeks >= 1) AND (autostop_weeks <= 16))),
    CONSTRAINT templates_check CHECK ((ARRAY['monday'::text, 'tuesday'::text, 'wednesday'::text, 'thursday'::text, 'friday'::text, 'saturday'::text, 'sunday'::text] @> (autostop_days || autostart_days))),
    CONSTRAINT templates_cors_behavior_check CHECK ((cors_behavior = ANY (ARRAY['simple'::text, 'passthru'::text]))),
    CONSTRAINT templates_default_ttl_ms_check CHECK ((default_ttl_ms >= 0)),
    CONSTRAINT templates_delete_ttl_ms_check CHECK ((delete_ttl_ms >= 0)),
    CONSTRAINT templates_dormant_ttl_ms_check CHECK ((dormant_ttl_ms >= 0)),
    CONSTRAINT templates_failure_ttl_ms_check CHECK ((failure_ttl_ms >= 0)),
    CONSTRAINT templates_max_port_share_level_check CHECK ((max_port_share_level = ANY (ARRAY['owner'::text, 'authenticated'::text, 'organization'::text, 'public'::text]))),
    CONSTRAINT templates_name_check CHECK (((name ~ '^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'::text) AND (length(name) <= 32))),
    CONSTRAINT templates_provisioner_check CHECK ((provisioner = ANY (ARRAY['terraform'::text, 'echo'::text])))
);

CREATE TABLE public.workspace_agents (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    workspace_build_id uuid NOT NULL,
    resource_id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    generation integer NOT NULL,
    lifecycle text DEFAULT 'created'::text NOT NULL,
    version text DEFAULT ''::text NOT NULL,
    directory text DEFAULT ''::text NOT NULL,
    server_id uuid,
    first_connected_at timestamp with time zone,
    last_connected_at timestamp with time zone,
    disconnected_at timestamp with time zone,
    lease_expires_at timestamp with time zone,
    started_at timestamp with time zone,
    ready_at timestamp with time zone,
    logs_length integer DEFAULT 0 NOT NULL,
    logs_overflowed boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_agents_generation_check CHECK ((generation >= 1)),
    CONSTRAINT workspace_agents_lifecycle_check CHECK ((lifecycle = ANY (ARRAY['created'::text, 'starting'::text, 'start_timeout'::text, 'start_error'::text, 'ready'::text, 'shutting_down'::text, 'shutdown_timeout'::text, 'shutdown_error'::text, 'off'::text]))),
    CONSTRAINT workspace_agents_token_hash_check CHECK ((length(token_hash) = 32))
);

CREATE TABLE public.workspace_app_statuses (
    id uuid NOT NULL,
    place bigint NOT NULL,
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    app_id uuid NOT NULL,
    state text NOT NULL,
    message text NOT NULL,
    uri text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    number bigint,
    CONSTRAINT workspace_app_statuses_number_check CHECK ((number >= 0)),
    CONSTRAINT workspace_app_statuses_state_check CHECK ((state = ANY (ARRAY['working'::text, 'idle'::text, 'complete'::text, 'failure'::text])))
);

CREATE TABLE public.workspace_apps (
    id uuid NOT NULL,
    agent_id uuid NOT NULL,
    ordinal integer NOT NULL,
    slug text NOT NULL,
    display_name text NOT NULL,
    icon text NOT NULL,
    url text NOT NULL,
    command text NOT NULL,
    sharing_level text NOT NULL,
    healthcheck_url text NOT NULL,
    healthcheck_interval_s integer NOT NULL,
    healthcheck_threshold integer NOT NULL,
    health text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_apps_check CHECK (((healthcheck_url = ''::text) = (health = 'disabled'::text))),
    CONSTRAINT workspace_apps_health_check CHECK ((health = ANY (ARRAY['disabled'::text, 'initializing'::text, 'healthy'::text, 'unhealthy'::text]))),
    CONSTRAINT workspace_apps_sharing_level_check CHECK ((sharing_level = ANY (ARRAY['owner'::text, 'authenticated'::text, 'organization'::text, 'public'::text])))
);

CREATE VIEW public.task_facts AS
 SELECT t.id,
    t.organization_id,
    t.owner_id,
    u.username AS owner_name,
    u.avatar_url AS owner_avatar_url,
    t.name,
    t.display_name,
    t.template_version_id,
    t.input,
    t.created_at,
    t.workspace_id,
    w.name AS workspace_name,
    w.deleted AS workspace_deleted,
    w.updated_at AS workspace_updated_at,
    w.template_id,
    p.name AS template_name,
    p.display_name AS template_display_name,
    p.icon AS template_icon,
    b.id AS build_id,
    b.build_number,
    b.transition,
    b.created_at AS build_created_at,
    b.template_version_id AS build_template_version_id,
    public.job_status(j.started_at, j.completed_at, j.canceled_at, j.error) AS job_status,
    a.id AS agent_id,
    a.lifecycle AS agent_lifecycle,
    a.created_at AS agent_created_at,
    a.first_connected_at AS agent_first_connected_at,
    a.last_connected_at AS agent_last_connected_at,
    a.disconnected_at AS agent_disconnected_at,
    app.id AS app_id,
    app.health AS app_health,
    app.url AS app_url,
    s.state AS report_state,
    s.message AS report_message,
    s.uri AS report_uri,
    s.created_at AS report_created_at,
    public.task_status(b.transition, public.job_status(j.started_at, j.completed_at, j.canceled_at, j.error), a.lifecycle, app.health) AS status,
    o.waiting_kind,
    o.waiting_id,
    o.waiting_title
   FROM (((((((((public.tasks t
     JOIN public.users u ON ((u.id = t.owner_id)))
     JOIN public.workspaces w ON ((w.id = t.workspace_id)))
     JOIN public.templates p ON ((p.id = w.template_id)))
     LEFT JOIN LATERAL ( SELECT n.id,
            n.build_number,
            n.transition,
            n.created_at,
            n.template_version_id,
            n.job_id,
            n.agent_id,
            n.app_id
           FROM public.workspace_builds n
          WHERE (n.workspace_id = w.id)
          ORDER BY n.build_number DESC
         LIMIT 1) b ON (true))
     LEFT JOIN public.provisioner_jobs j ON ((j.id = b.job_id)))
     LEFT JOIN public.workspace_agents a ON ((a.id = b.agent_id)))
     LEFT JOIN public.workspace_apps app ON ((app.id = b.app_id)))
     LEFT JOIN LATERAL ( SELECT r.state,
            r.message,
            r.uri,
            r.created_at
           FROM public.workspace_app_statuses r
          WHERE (r.workspace_id = w.id)
          ORDER BY r.place DESC
         LIMIT 1) s ON (true))
     LEFT JOIN LATERAL ( SELECT k.waiting_kind,
            k.waiting_id,
            k.waiting_title
           FROM public.task_observed k
          WHERE ((k.task_id = t.id) AND (k.generation = w.generation))
         LIMIT 1) o ON (true))
  WHERE (t.deleted_at IS NULL);

CREATE TABLE public.task_items (
    task_id uuid NOT NULL,
    number bigint NOT NULL,
    seq bigint,
    generation integer,
    kind text NOT NULL,
    turn integer NOT NULL,
    data json NOT NULL,
    "time" timestamp with time zone NOT NULL,
    stored_at timestamp with time zone NOT NULL,
    CONSTRAINT task_items_check CHECK (((seq IS NULL) = (generation IS NULL))),
    CONSTRAINT task_items_number_check CHECK ((number >= 1)),
    CONSTRAINT task_items_seq_check CHECK ((seq >= 1))
);

CREATE TABLE public.task_permissions (
    task_id uuid NOT NULL,
    number bigint NOT NULL,
    id text NOT NULL,
    generation integer NOT NULL,
    title text NOT NULL,
    options json NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    answered_at timestamp with time zone,
    outcome text,
    option_id text,
    answered_by text,
    answerer text,
    CONSTRAINT task_permissions_answered_by_check CHECK ((answered_by = ANY (ARRAY['policy'::text, 'person'::text, 'timeout'::text, 'cancel'::text]))),
    CONSTRAINT task_permissions_check CHECK ((((answered_at IS NULL) = (outcome IS NULL)) AND ((answered_at IS NULL) = (answered_by IS NULL)))),
    CONSTRAINT task_permissions_check1 CHECK (((NOT (outcome IS DISTINCT FROM 'selected'::text)) = (option_id IS NOT NULL))),
    CONSTRAINT task_permissions_number_check CHECK ((number >= 1)),
    CONSTRAINT task_permissions_outcome_check CHECK ((outcome = ANY (ARRAY['selected'::text, 'cancelled'::text])))
);

CREATE TABLE public.task_prompts (
    id uuid NOT NULL,
    task_id uuid NOT NULL,
    place bigint NOT NULL,
    source text NOT NULL,
    workspace_build_id uuid,
    content text NOT NULL,
    state text NOT NULL,
    error text,
    created_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    settled_at timestamp with time zone,
    number bigint,
    CONSTRAINT task_prompts_check CHECK (((state = 'waiting'::text) = (sent_at IS NULL))),
    CONSTRAINT task_prompts_check1 CHECK (((state = ANY (ARRAY['delivered'::text, 'uncertain'::text, 'failed'::text])) = (settled_at IS NOT NULL))),
    CONSTRAINT task_prompts_check2 CHECK (((source = 'input'::text) = (workspace_build_id IS NOT NULL))),
    CONSTRAINT task_prompts_content_check CHECK ((content <> ''::text)),
    CONSTRAINT task_prompts_number_check CHECK ((number >= 1)),
    CONSTRAINT task_prompts_source_check CHECK ((source = ANY (ARRAY['input'::text, 'queue'::text]))),
    CONSTRAINT task_prompts_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'delivered'::text, 'uncertain'::text, 'failed'::text])))
);

ALTER TABLE public.task_prompts ALTER COLUMN place ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.task_prompts_place_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.task_reports (
    task_id uuid NOT NULL,
    number bigint NOT NULL,
    summary text NOT NULL,
    link text NOT NULL,
    outcome text,
    at timestamp with time zone NOT NULL,
    CONSTRAINT task_reports_check CHECK (((outcome IS NOT NULL) OR ((summary = ''::text) AND (link = ''::text)))),
    CONSTRAINT task_reports_number_check CHECK ((number >= 1)),
    CONSTRAINT task_reports_outcome_check CHECK ((outcome = ANY (ARRAY['working'::text, 'complete'::text, 'failure'::text])))
);

CREATE TABLE public.task_snapshots (
    task_id uuid NOT NULL,
    format text NOT NULL,
    data json NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE VIEW public.template_facts AS
 SELECT t.id,
    t.organization_id,
    g.name AS organization_name,
    g.display_name AS organization_display_name,
    g.icon AS organization_icon,
    t.name,
    t.display_name,
    t.description,
    t.icon,
    t.provisioner,
    t.active_version_id,
    COALESCE(v.has_ai_task, false) AS has_ai_task,
    public.template_user_count(t.id) AS active_user_count,
    t.default_ttl_ms,
    t.activity_bump_ms,
    t.failure_ttl_ms,
    t.dormant_ttl_ms,
    t.delete_ttl_ms,
    t.allow_user_cancel_workspace_jobs,
    t.allow_user_autostart,
    t.allow_user_autostop,
    t.require_active_version,
    t.deprecation_message,
    t.deleted,
    t.created_by,
    u.username AS created_by_name,
    t.created_at,
    t.updated_at,
    t.autostop_days,
    t.autostop_weeks,
    t.autostart_days,
    t.max_port_share_level,
    t.cors_behavior,
    t.use_classic_parameter_flow,
    t.disable_module_cache,
    public.template_build_times(t.id) AS build_times
   FROM (((public.templates t
     JOIN public.organizations g ON ((g.id = t.organization_id)))
     JOIN public.template_versions v ON ((v.id = t.active_version_id)))
     JOIN public.users u ON ((u.id = t.created_by)));

CREATE TABLE public.template_version_parameters (
    template_version_id uuid NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL,
    display_name text NOT NULL,
    description text NOT NULL,
    type text NOT NULL,
    form_type text NOT NULL,
    mutable boolean NOT NULL,
    default_value text NOT NULL,
    icon text NOT NULL,
    options jsonb NOT NULL,
    validation_error text,
    validation_regex text,
    validation_min bigint,
    validation_max bigint,
    validation_monotonic text,
    required boolean NOT NULL,
    ephemeral boolean NOT NULL,
    CONSTRAINT template_version_parameters_type_check CHECK ((type = ANY (ARRAY['string'::text, 'number'::text, 'bool'::text, 'list(string)'::text]))),
    CONSTRAINT template_version_parameters_validation_monotonic_check CHECK ((validation_monotonic = ANY (ARRAY['increasing'::text, 'decreasing'::text])))
);

CREATE TABLE public.template_version_presets (
    id uuid NOT NULL,
    template_version_id uuid NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    icon text NOT NULL,
    is_default boolean NOT NULL,
    parameters jsonb NOT NULL
);

CREATE VIEW public.version_facts AS
 SELECT v.id,
    v.template_id,
    t.name AS template_name,
    t.display_name AS template_display_name,
    t.icon AS template_icon,
    v.organization_id,
    v.name,
    v.message,
    v.readme,
    v.archived,
    COALESCE((v.definition -> 'warnings'::text), '[]'::jsonb) AS warnings,
    v.variable_names,
    v.created_by,
    u.username AS created_by_username,
    u.name AS created_by_name,
    u.avatar_url AS created_by_avatar_url,
    v.created_at,
    v.updated_at,
    v.job_id,
    j.type AS job_type,
    j.organization_id AS job_organization_id,
    j.initiator_id AS job_initiator_id,
    j.file_id AS job_file_id,
    j.template_version_id AS job_template_version_id,
    j.workspace_id AS job_workspace_id,
    j.workspace_build_id AS job_workspace_build_id,
    j.tags AS job_tags,
    j.attempt AS job_attempt,
    j.run_at AS job_run_at,
    j.worker_id AS job_worker_id,
    j.worker_name AS job_worker_name,
    j.lease_expires_at AS job_lease_expires_at,
    j.created_at AS job_created_at,
    j.updated_at AS job_updated_at,
    j.started_at AS job_started_at,
    j.canceled_at AS job_canceled_at,
    j.completed_at AS job_completed_at,
    j.error AS job_error,
    j.error_code AS job_error_code,
    j.queue_position AS job_queue_position,
    j.queue_size AS job_queue_size,
    s.workers_count,
    s.workers_available,
    s.workers_seen_at
   FROM ((((public.template_versions v
     JOIN public.users u ON ((u.id = v.created_by)))
     JOIN public.job_facts j ON ((j.id = v.job_id)))
     CROSS JOIN public.worker_facts s)
     LEFT JOIN public.templates t ON ((t.id = v.template_id)));

CREATE TABLE public.workspace_agent_log_sources (
    id uuid NOT NULL,
    agent_id uuid NOT NULL,
    display_name text NOT NULL,
    icon text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.workspace_agent_logs (
    id bigint NOT NULL,
    agent_id uuid NOT NULL,
    source_id uuid NOT NULL,
    level text NOT NULL,
    output text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_agent_logs_level_check CHECK ((level = ANY (ARRAY['trace'::text, 'debug'::text, 'info'::text, 'warn'::text, 'error'::text])))
);

ALTER TABLE public.workspace_agent_logs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.workspace_agent_logs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.workspace_app_statuses ALTER COLUMN place ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.workspace_app_statuses_place_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.workspace_build_parameters (
    workspace_build_id uuid NOT NULL,
    name text NOT NULL,
    value text NOT NULL
);

CREATE VIEW public.workspace_facts AS
 SELECT w.id,
    w.owner_id,
    o.username AS owner_name,
    o.avatar_url AS owner_avatar_url,
    w.organization_id,
    g.name AS organization_name,
    w.template_id,
    p.name AS template_name,
    p.display_name AS template_display_name,
    p.icon AS template_icon,
    p.allow_user_cancel_workspace_jobs,
    p.allow_user_autostop,
    p.active_version_id,
    p.require_active_version,
    p.use_classic_parameter_flow,
    w.name,
    w.ttl_ms,
    w.deleted,
    w.created_at,
    w.updated_at,
    w.last_used_at,
    b.id AS build_id,
    b.build_number,
    b.template_version_id,
    v.has_ai_task,
    w.autostart_schedule,
    w.automatic_updates,
    w.favorite,
    w.dormant_at,
    w.deleting_at,
    public.workspace_status(b.transition, public.job_status(j.started_at, j.completed_at, j.canceled_at, j.error)) AS status,
    t.id AS task_id
   FROM (((((((public.workspaces w
     JOIN public.users o ON ((o.id = w.owner_id)))
     JOIN public.organizations g ON ((g.id = w.organization_id)))
     JOIN public.templates p ON ((p.id = w.template_id)))
     JOIN LATERAL ( SELECT n.id,
            n.build_number,
            n.transition,
            n.template_version_id,
            n.job_id
           FROM public.workspace_builds n
          WHERE (n.workspace_id = w.id)
          ORDER BY n.build_number DESC
         LIMIT 1) b ON (true))
     JOIN public.provisioner_jobs j ON ((j.id = b.job_id)))
     JOIN public.template_versions v ON ((v.id = b.template_version_id)))
     LEFT JOIN public.tasks t ON ((t.workspace_id = w.id)));

CREATE TABLE public.workspace_resources (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    transition text NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_resources_transition_check CHECK ((transition = ANY (ARRAY['start'::text, 'stop'::text, 'delete'::text])))
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_logs
    ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (id);

ALTER TABLE public.audit_logs
    ADD CONSTRAINT audit_logs_resource_type_check CHECK ((resource_type = ANY (ARRAY['api_key'::text, 'file'::text, 'git_ssh_key'::text, 'organization'::text, 'organization_member'::text, 'secret'::text, 'task'::text, 'template'::text, 'template_version'::text, 'user'::text, 'workspace'::text, 'workspace_build'::text]))) NOT VALID;

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.git_ssh_keys
    ADD CONSTRAINT git_ssh_keys_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.login_attempts
    ADD CONSTRAINT login_attempts_pkey PRIMARY KEY (subject, window_start);

ALTER TABLE ONLY public.organization_members
    ADD CONSTRAINT organization_members_pkey PRIMARY KEY (organization_id, user_id);

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provisioner_job_logs
    ADD CONSTRAINT provisioner_job_logs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.provisioner_jobs
    ADD CONSTRAINT provisioner_jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.secret_key
    ADD CONSTRAINT secret_key_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_items
    ADD CONSTRAINT task_items_pkey PRIMARY KEY (task_id, number);

ALTER TABLE ONLY public.task_items
    ADD CONSTRAINT task_items_task_id_seq_key UNIQUE (task_id, seq);

ALTER TABLE ONLY public.task_observed
    ADD CONSTRAINT task_observed_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.task_permissions
    ADD CONSTRAINT task_permissions_pkey PRIMARY KEY (task_id, number);

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_reports
    ADD CONSTRAINT task_reports_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.task_snapshots
    ADD CONSTRAINT task_snapshots_pkey PRIMARY KEY (task_id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_workspace_id_key UNIQUE (workspace_id);

ALTER TABLE ONLY public.template_version_parameters
    ADD CONSTRAINT template_version_parameters_pkey PRIMARY KEY (template_version_id, name);

ALTER TABLE ONLY public.template_version_presets
    ADD CONSTRAINT template_version_presets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_agent_log_sources
    ADD CONSTRAINT workspace_agent_log_sources_pkey PRIMARY KEY (agent_id, id);

ALTER TABLE ONLY public.workspace_agent_logs
    ADD CONSTRAINT workspace_agent_logs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_agents
    ADD CONSTRAINT workspace_agents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_app_statuses
    ADD CONSTRAINT workspace_app_statuses_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_apps
    ADD CONSTRAINT workspace_apps_agent_id_slug_key UNIQUE (agent_id, slug);

ALTER TABLE ONLY public.workspace_apps
    ADD CONSTRAINT workspace_apps_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_build_parameters
    ADD CONSTRAINT workspace_build_parameters_pkey PRIMARY KEY (workspace_build_id, name);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_workspace_id_build_number_key UNIQUE (workspace_id, build_number);

ALTER TABLE ONLY public.workspace_resources
    ADD CONSTRAINT workspace_resources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX api_keys_token_name ON public.api_keys USING btree (user_id, token_name) WHERE (token_name <> ''::text);

CREATE INDEX api_keys_user ON public.api_keys USING btree (user_id, created_at);

CREATE INDEX audit_logs_at ON public.audit_logs USING btree (at DESC, id);

CREATE INDEX audit_logs_resource ON public.audit_logs USING btree (resource_type, resource_id, at DESC);

CREATE INDEX audit_logs_user ON public.audit_logs USING btree (user_id, at DESC);

CREATE UNIQUE INDEX files_once ON public.files USING btree (created_by, sha256);

CREATE INDEX login_attempts_window ON public.login_attempts USING btree (window_start);

CREATE INDEX organization_members_user ON public.organization_members USING btree (user_id);

CREATE UNIQUE INDEX organizations_name ON public.organizations USING btree (lower(name));

CREATE UNIQUE INDEX organizations_one_default ON public.organizations USING btree (is_default) WHERE is_default;

CREATE INDEX provisioner_job_logs_job ON public.provisioner_job_logs USING btree (job_id, id);

CREATE UNIQUE INDEX provisioner_jobs_one_repair ON public.provisioner_jobs USING btree (workspace_id) WHERE ((type = 'workspace_repair'::text) AND (completed_at IS NULL));

CREATE INDEX provisioner_jobs_open ON public.provisioner_jobs USING btree (place) WHERE (completed_at IS NULL);

CREATE INDEX provisioner_jobs_workspace ON public.provisioner_jobs USING btree (workspace_id, place) WHERE (workspace_id IS NOT NULL);

CREATE UNIQUE INDEX secrets_name ON public.secrets USING btree (COALESCE(organization_id, template_id, user_id), name);

CREATE INDEX task_permissions_id ON public.task_permissions USING btree (task_id, id, number DESC);

CREATE INDEX task_permissions_open ON public.task_permissions USING btree (task_id, number) WHERE (answered_at IS NULL);

CREATE INDEX task_prompts_delivered ON public.task_prompts USING btree (task_id, place DESC) WHERE (state = 'delivered'::text);

CREATE UNIQUE INDEX task_prompts_one_input ON public.task_prompts USING btree (workspace_build_id) WHERE (source = 'input'::text);

CREATE INDEX task_prompts_waiting ON public.task_prompts USING btree (task_id, place) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE UNIQUE INDEX tasks_name ON public.tasks USING btree (owner_id, lower(name)) WHERE (deleted_at IS NULL);

CREATE INDEX tasks_newest ON public.tasks USING btree (created_at DESC, id DESC) WHERE (deleted_at IS NULL);

CREATE INDEX tasks_organization_newest ON public.tasks USING btree (organization_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);

CREATE INDEX tasks_owner_newest ON public.tasks USING btree (owner_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX template_version_presets_name ON public.template_version_presets USING btree (template_version_id, name);

CREATE UNIQUE INDEX template_version_presets_one_default ON public.template_version_presets USING btree (template_version_id) WHERE is_default;

CREATE UNIQUE INDEX template_versions_name ON public.template_versions USING btree (template_id, lower(name));

CREATE INDEX template_versions_template ON public.template_versions USING btree (template_id, created_at);

CREATE UNIQUE INDEX templates_name ON public.templates USING btree (organization_id, lower(name)) WHERE (NOT deleted);

CREATE UNIQUE INDEX users_email ON public.users USING btree (lower(email)) WHERE (NOT deleted);

CREATE UNIQUE INDEX users_github ON public.users USING btree (github_user_id) WHERE (NOT deleted);

CREATE UNIQUE INDEX users_username ON public.users USING btree (lower(username)) WHERE (NOT deleted);

CREATE INDEX workspace_agent_logs_agent ON public.workspace_agent_logs USING btree (agent_id, id);

CREATE INDEX workspace_agents_build ON public.workspace_agents USING btree (workspace_build_id);

CREATE INDEX workspace_agents_resource ON public.workspace_agents USING btree (resource_id);

CREATE UNIQUE INDEX workspace_agents_token ON public.workspace_agents USING btree (token_hash);

CREATE INDEX workspace_app_statuses_app ON public.workspace_app_statuses USING btree (app_id, place DESC);

CREATE INDEX workspace_app_statuses_newest ON public.workspace_app_statuses USING btree (workspace_id, place DESC);

CREATE INDEX workspace_builds_newest ON public.workspace_builds USING btree (workspace_id, build_number DESC);

CREATE UNIQUE INDEX workspace_builds_one_active ON public.workspace_builds USING btree (workspace_id) WHERE (NOT settled);

CREATE INDEX workspace_builds_version ON public.workspace_builds USING btree (template_version_id, created_at DESC);

CREATE INDEX workspace_resources_job ON public.workspace_resources USING btree (job_id);

CREATE UNIQUE INDEX workspaces_name ON public.workspaces USING btree (owner_id, lower(name)) WHERE (NOT deleted);

CREATE INDEX workspaces_template ON public.workspaces USING btree (template_id, owner_id) WHERE (NOT deleted);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id);

ALTER TABLE ONLY public.git_ssh_keys
    ADD CONSTRAINT git_ssh_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.organization_members
    ADD CONSTRAINT organization_members_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.organization_members
    ADD CONSTRAINT organization_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.provisioner_job_logs
    ADD CONSTRAINT provisioner_job_logs_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.provisioner_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.provisioner_jobs
    ADD CONSTRAINT provisioner_jobs_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files(id);

ALTER TABLE ONLY public.provisioner_jobs
    ADD CONSTRAINT provisioner_jobs_initiator_id_fkey FOREIGN KEY (initiator_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.provisioner_jobs
    ADD CONSTRAINT provisioner_jobs_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.templates(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_items
    ADD CONSTRAINT task_items_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);

ALTER TABLE ONLY public.task_observed
    ADD CONSTRAINT task_observed_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_permissions
    ADD CONSTRAINT task_permissions_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_workspace_build_id_fkey FOREIGN KEY (workspace_build_id) REFERENCES public.workspace_builds(id);

ALTER TABLE ONLY public.task_reports
    ADD CONSTRAINT task_reports_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_snapshots
    ADD CONSTRAINT task_snapshots_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES public.template_versions(id);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);

ALTER TABLE ONLY public.template_version_parameters
    ADD CONSTRAINT template_version_parameters_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES public.template_versions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.template_version_presets
    ADD CONSTRAINT template_version_presets_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES public.template_versions(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.provisioner_jobs(id);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT template_versions_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.templates(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT templates_active_version_id_fkey FOREIGN KEY (active_version_id) REFERENCES public.template_versions(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT templates_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id);

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT templates_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.workspace_agent_log_sources
    ADD CONSTRAINT workspace_agent_log_sources_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.workspace_agents(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.workspace_agent_logs
    ADD CONSTRAINT workspace_agent_logs_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.workspace_agents(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.workspace_agent_logs
    ADD CONSTRAINT workspace_agent_logs_agent_id_source_id_fkey FOREIGN KEY (agent_id, source_id) REFERENCES public.workspace_agent_log_sources(agent_id, id);

ALTER TABLE ONLY public.workspace_agents
    ADD CONSTRAINT workspace_agents_resource_id_fkey FOREIGN KEY (resource_id) REFERENCES public.workspace_resources(id);

ALTER TABLE ONLY public.workspace_agents
    ADD CONSTRAINT workspace_agents_workspace_build_id_fkey FOREIGN KEY (workspace_build_id) REFERENCES public.workspace_builds(id);

ALTER TABLE ONLY public.workspace_agents
    ADD CONSTRAINT workspace_agents_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);

ALTER TABLE ONLY public.workspace_app_statuses
    ADD CONSTRAINT workspace_app_statuses_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.workspace_agents(id);

ALTER TABLE ONLY public.workspace_app_statuses
    ADD CONSTRAINT workspace_app_statuses_app_id_fkey FOREIGN KEY (app_id) REFERENCES public.workspace_apps(id);

ALTER TABLE ONLY public.workspace_app_statuses
    ADD CONSTRAINT workspace_app_statuses_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);

ALTER TABLE ONLY public.workspace_apps
    ADD CONSTRAINT workspace_apps_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.workspace_agents(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.workspace_build_parameters
    ADD CONSTRAINT workspace_build_parameters_workspace_build_id_fkey FOREIGN KEY (workspace_build_id) REFERENCES public.workspace_builds(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_initiator_id_fkey FOREIGN KEY (initiator_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.provisioner_jobs(id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_template_version_id_fkey FOREIGN KEY (template_version_id) REFERENCES public.template_versions(id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_template_version_preset_id_fkey FOREIGN KEY (template_version_preset_id) REFERENCES public.template_version_presets(id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id);

ALTER TABLE ONLY public.workspace_resources
    ADD CONSTRAINT workspace_resources_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.provisioner_jobs(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.templates(id);
