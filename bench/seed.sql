-- A site with many tasks, for benchmarks and for the test that looks at plans: {tasks} tasks of {users} owners in 20
-- organizations, each task with a workspace, builds, {items} items of a transcript, and in half of them an agent that
-- runs. Ids are made of words, so that each insert knows those of the others.
begin;

-- Nobody follows any of these: their events would take longer than all the rest.
alter table tasks disable trigger user;
alter table workspace_builds disable trigger user;
alter table workspace_app_statuses disable trigger user;

-- Foreign keys are looked up row by row, which takes most of the time; they come back unchecked at the end.
create temporary table crowd_keys as
select conrelid::regclass as owner, conname as name, pg_get_constraintdef(oid) as definition
from pg_constraint
where contype = 'f';
do $$
declare key record;
begin
    for key in select * from crowd_keys loop
        execute format('alter table %s drop constraint %I', key.owner, key.name);
    end loop;
end
$$;

insert into organizations (id, name, display_name, description, icon, is_default, created_at, updated_at)
select md5('organization' || o)::uuid, 'crowd-' || o, '', '', '', false, now(), now()
from generate_series(0, 19) o;

insert into users (
    id, username, email, name, avatar_url, login_type, status, roles, created_at, updated_at, last_seen_at
)
select
    md5('user' || u)::uuid, 'crowd-' || u, 'crowd-' || u || '@example.com', '', '', 'none', 'active', '{}', now(),
    now(), now()
from generate_series(0, {users} - 1) u;

insert into organization_members (organization_id, user_id, roles, created_at, updated_at)
select md5('organization' || u % 20)::uuid, md5('user' || u)::uuid, '{}', now(), now()
from generate_series(0, {users} - 1) u;

insert into api_keys (
    id, user_id, secret_hash, login_type, scope, token_name, lifetime_s, last_used_at, expires_at, created_at,
    updated_at
)
select
    left(md5('key' || u), 10), md5('user' || u)::uuid, sha256(('secret' || u)::bytea), 'token', 'all', 'crowd', 3600,
    now(), now() + interval '1 hour', now(), now()
from generate_series(0, {users} - 1) u;

insert into files (id, sha256, created_by, mimetype, data, created_at)
select md5('file')::uuid, decode(repeat('00', 32), 'hex'), md5('user0')::uuid, 'application/x-tar', '', now();

insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, template_version_id, tags, attempt, run_at, worker_id,
    worker_name, lease_expires_at, created_at, updated_at, started_at, completed_at
)
select
    md5('import' || o)::uuid, 'template_version_import', md5('organization' || o)::uuid, md5('user0')::uuid,
    md5('file')::uuid, md5('version' || o)::uuid, '{}', 1, now(), md5('worker')::uuid, 'crowd', now(), now(), now(),
    now(), now()
from generate_series(0, 19) o;

insert into templates (
    id, organization_id, name, display_name, description, icon, provisioner, active_version_id, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by, created_at,
    updated_at
)
select
    md5('template' || o)::uuid, md5('organization' || o)::uuid, 'crowd', 'Crowd', '', '', 'echo',
    md5('version' || o)::uuid, 0, 0, 0, 0, 0, false, true, true, false, '', md5('user0')::uuid, now(), now()
from generate_series(0, 19) o;

insert into template_versions (
    id, template_id, organization_id, name, message, readme, job_id, created_by, created_at, updated_at
)
select
    md5('version' || o)::uuid, md5('template' || o)::uuid, md5('organization' || o)::uuid, 'one', '', '',
    md5('import' || o)::uuid, md5('user0')::uuid, now(), now()
from generate_series(0, 19) o;

insert into workspaces (
    id, owner_id, organization_id, template_id, name, generation, driver, created_at, updated_at, last_used_at
)
select
    md5('workspace' || t)::uuid, md5('user' || t % {users})::uuid,
    md5('organization' || t % {users} % 20)::uuid, md5('template' || t % {users} % 20)::uuid,
    'crowd-' || t, 1, 'echo', now(), now(), now()
from generate_series(0, {tasks} - 1) t;

-- Of ten tasks: five run, three are paused by a second build, one has failed, one waits for a worker.
create temporary table crowd_builds as
select
    t as task, n as number, md5('build' || t || '-' || n)::uuid as id, md5('job' || t || '-' || n)::uuid as job_id,
    k = 8 as failed, k = 9 as waits, k < 5 as runs
from generate_series(0, {tasks} - 1) t
cross join lateral (select (t % {users} + t / {users}) % 10) kind (k)
cross join lateral generate_series(1, case when k in (5, 6, 7) then 2 else 1 end) n;

insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, workspace_id, workspace_build_id, tags, attempt, run_at,
    worker_id, worker_name, lease_expires_at, created_at, updated_at, started_at, completed_at, error
)
select
    job_id, 'workspace_build', md5('organization' || task % {users} % 20)::uuid,
    md5('user' || task % {users})::uuid, md5('file')::uuid, md5('workspace' || task)::uuid, id, '{}',
    case when waits then 0 else 1 end, now(), case when not waits then md5('worker')::uuid end,
    case when not waits then 'crowd' end, case when not waits then now() end, now(), now(),
    case when not waits then now() end, case when not waits then now() end, case when failed then 'It broke.' end
from crowd_builds;

insert into workspace_builds (
    id, workspace_id, build_number, transition, reason, initiator_id, job_id, template_version_id, agent_id, app_id,
    settled, created_at, updated_at
)
select
    id, md5('workspace' || task)::uuid, number, case number when 1 then 'start' else 'stop' end, 'initiator',
    md5('user' || task % {users})::uuid, job_id, md5('version' || task % {users} % 20)::uuid,
    case when runs then md5('agent' || task)::uuid end, case when runs then md5('app' || task)::uuid end, not waits,
    now(), now()
from crowd_builds;

insert into workspace_room (workspace_id, owner_id, organization_id, host_id, taken, waits, initiator_id)
select
    w.id, w.owner_id, w.organization_id, w.host_id, not b.waits, case when b.waits then j.place end,
    case when b.waits then w.owner_id end
from crowd_builds b
join workspaces w on w.id = md5('workspace' || b.task)::uuid
join provisioner_jobs j on j.id = b.job_id
where b.runs or b.waits;

update provisioner_jobs set for_room = true where type = 'workspace_build' and started_at is null;

insert into workspace_resources (id, job_id, transition, type, name, created_at)
select md5('resource' || task)::uuid, job_id, 'start', 'echo', 'main', now()
from crowd_builds
where runs;

insert into workspace_agents (
    id, workspace_id, workspace_build_id, resource_id, name, token_hash, generation, lifecycle, first_connected_at,
    last_connected_at, created_at, updated_at
)
select
    md5('agent' || task)::uuid, md5('workspace' || task)::uuid, id, md5('resource' || task)::uuid, 'main',
    sha256(('token' || task)::bytea), 1, 'ready', now(), now(), now(), now()
from crowd_builds
where runs;

insert into workspace_apps (
    id, agent_id, ordinal, slug, display_name, icon, url, command, sharing_level, healthcheck_url,
    healthcheck_interval_s, healthcheck_threshold, health, created_at
)
select
    md5('app' || task)::uuid, md5('agent' || task)::uuid, 0, 'agent', 'Agent', '', 'http://127.0.0.1:3284', '',
    'owner', 'http://127.0.0.1:3284/status', 5, 3, 'healthy', now()
from crowd_builds
where runs;

insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)
select
    md5('status' || task)::uuid, md5('workspace' || task)::uuid, md5('agent' || task)::uuid,
    md5('app' || task)::uuid, 'working', 'Read the tests and changed two files.', '', now() + interval '1 second'
from crowd_builds
where runs;

insert into tasks (
    id, organization_id, owner_id, name, display_name, workspace_id, template_version_id, input, created_at,
    last_number
)
select
    md5('task' || t)::uuid, md5('organization' || t % {users} % 20)::uuid,
    md5('user' || t % {users})::uuid, 'crowd-' || t, 'Task ' || t, md5('workspace' || t)::uuid,
    md5('version' || t % {users} % 20)::uuid, repeat('Make the tests of this project pass. ', 1 + t % 16),
    now() - (t || ' seconds')::interval, {items}
from generate_series(0, {tasks} - 1) t;

insert into task_observed (task_id, number, generation, state, session, since)
select md5('task' || t)::uuid, 7, 1, 'working', 'running', now()
from generate_series(0, {tasks} - 1) t;

-- A prompt, what was done for it, and an answer, again and again.
insert into task_items (task_id, number, kind, turn, data, time, stored_at)
select
    md5('task' || t)::uuid, n, (array['user_message', 'tool_call', 'agent_message'])[1 + (n - 1) % 3], 1 + (n - 1) / 3,
    case (n - 1) % 3
        when 0 then json_build_object('text', 'Make the tests of this project pass.')
        when 1 then json_build_object(
            'tool_call_id', 'c' || n, 'title', 'Run the tests', 'kind', 'execute', 'status', 'completed'
        )
        else json_build_object('message_id', 'm' || n, 'text', repeat('Two tests failed; I look at why. ', 1 + t % 20))
    end,
    now(), now()
from generate_series(0, {tasks} - 1) t, generate_series(1, {items}) n;

do $$
begin
    if to_regclass('task_statuses') is not null then -- which a site of an earlier release has not
        insert into task_statuses (task_id, created_at, status) select id, created_at, status from task_facts;
    end if;
end
$$;

do $$
declare key record;
begin
    for key in select * from crowd_keys loop
        execute format('alter table %s add constraint %I %s not valid', key.owner, key.name, key.definition);
    end loop;
end
$$;
drop table crowd_builds, crowd_keys;
alter table tasks enable trigger user;
alter table workspace_builds enable trigger user;
alter table workspace_app_statuses enable trigger user;

commit;
analyze;
