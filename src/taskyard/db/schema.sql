-- The schema that all migrations together make, for readers. Nothing runs this file.
-- Made by `./yard docs` from src/taskyard/db/migrations/, which is what counts.

CREATE FUNCTION public.abandoned_from(of_workspace uuid, of_owner uuid, of_transition text, ended_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select case
        when ended_at is null then null
        when of_transition <> 'delete' then (select ended_at from users u where u.id = of_owner and u.deleted)
        when exists (select 1 from tasks t where t.workspace_id = of_workspace)
            and not exists (select 1 from tasks t where t.workspace_id = of_workspace and t.deleted_at is null)
        then ended_at + interval '1 minute' * least(60, 2 ^ (
            select greatest(0, least(count(*), 10) - 1)
            from workspace_builds d
            join provisioner_jobs e on e.id = d.job_id
            where d.workspace_id = of_workspace and d.transition = 'delete' and e.completed_at is not null
        ))
    end
$$;

CREATE FUNCTION public.begin_for_room() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.for_room := false;
    return new;
end
$$;

CREATE FUNCTION public.begin_phases(its_workspace uuid, its_build uuid, at timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
    latest integer;
begin
    update workspace_build_phases p
    set ended_at = greatest(at, p.began_at), outcome = 'skipped', reason = 'It was started anew.'
    where p.workspace_id = its_workspace and p.ended_at is null;
    select coalesce(max(p.round), 0) + 1 into latest from workspace_build_phases p where p.workspace_build_id = its_build;
    insert into workspace_build_phases (workspace_build_id, workspace_id, round, phase, began_at)
    values (its_build, its_workspace, latest, 'queued', at);
    return latest;
end
$$;

CREATE FUNCTION public.end_phases(its_build uuid, skips text[], phases text[], outcomes text[], causes text[], reasons text[], times timestamp with time zone[], at timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
    its_workspace uuid;
    its_task uuid;
    its_number integer;
    its_round integer;
    items json[] := '{}';
    item_times timestamptz[] := '{}';
    number_before bigint;
    name text;
    was workspace_build_phases;
    ended workspace_build_phases;
begin
    select b.workspace_id, b.build_number into its_workspace, its_number from workspace_builds b where b.id = its_build;
    -- Workspace, then task: everybody locks them in this order, so that nobody waits for each other in a ring.
    perform 1 from workspaces w where w.id = its_workspace for key share;
    select t.id into its_task from tasks t where t.workspace_id = its_workspace for no key update;
    select max(p.round) into its_round from workspace_build_phases p where p.workspace_build_id = its_build;
    if its_round is null then
        return 0;  -- it was begun by an earlier release
    end if;
    insert into workspace_build_phases (
        workspace_build_id, workspace_id, round, phase, began_at, ended_at, outcome
    )
    select its_build, its_workspace, its_round, s, at, at, 'skipped' from unnest(skips) s
    on conflict do nothing;
    for i in 1 .. coalesce(array_length(outcomes, 1), 0) loop
        name := phases[i];
        if name is null then
            select p.phase into name from workspace_build_phases p
            where p.workspace_build_id = its_build and p.round = its_round and p.ended_at is null;
            continue when name is null;
        end if;
        -- What an agent tells counts once it was waited for: until then it is that of an earlier round.
        continue when phase_place(name) >= phase_place('connecting') and not exists (
            select 1 from workspace_build_phases p
            where p.workspace_build_id = its_build and p.round = its_round and p.phase = 'connecting'
        );
        select * into was from workspace_build_phases p
        where p.workspace_build_id = its_build and p.round = its_round and p.phase = name;
        continue when was.outcome in ('done', 'skipped');
        if was.outcome = 'failed' and outcomes[i] <> 'done' then
            update workspace_build_phases p
            set reason = reasons[i], cause = causes[i]
            where p.workspace_build_id = its_build and p.round = its_round and p.phase = name and p.reason is null
                and outcomes[i] = 'failed';
            continue;
        end if;
        -- Whatever ran before it is over, and what was not seen has been passed over.
        for ended in
            update workspace_build_phases p
            set ended_at = greatest(times[i], p.began_at), outcome = 'done'
            where p.workspace_build_id = its_build and p.round = its_round and p.ended_at is null
                and phase_place(p.phase) < phase_place(name)
            returning p.*
        loop
            items := items || phase_item(its_number, ended);
            item_times := item_times || ended.ended_at;
        end loop;
        insert into workspace_build_phases (
            workspace_build_id, workspace_id, round, phase, began_at, ended_at, outcome
        )
        select its_build, its_workspace, its_round, v.phase, times[i], times[i], 'skipped'
        from (values
            ('queued'), ('preparing'), ('starting'), ('connecting'), ('scripts'), ('coding_agent'), ('first_prompt')
        ) v (phase)
        where phase_place(v.phase) < phase_place(name)
        on conflict do nothing;
        insert into workspace_build_phases as p (
            workspace_build_id, workspace_id, round, phase, began_at, ended_at, outcome, cause, reason
        ) values (
            its_build, its_workspace, its_round, name, times[i], times[i], outcomes[i], causes[i], reasons[i]
        )
        on conflict (workspace_build_id, round, phase) do update
        set ended_at = greatest(excluded.ended_at, p.began_at), outcome = excluded.outcome, cause = excluded.cause,
            reason = excluded.reason
        returning p.* into ended;
        items := items || phase_item(its_number, ended);
        item_times := item_times || ended.ended_at;
        continue when not (outcomes[i] = 'done' or (outcomes[i] = 'failed' and name = 'scripts'));
        insert into workspace_build_phases (workspace_build_id, workspace_id, round, phase, began_at)
        select its_build, its_workspace, its_round, v.phase, ended.ended_at
        from (values
            ('preparing'), ('starting'), ('connecting'), ('scripts'), ('coding_agent'), ('first_prompt'), ('first_answer')
        ) v (phase)
        where phase_place(v.phase) > phase_place(name) and not exists (
            select 1 from workspace_build_phases p
            where p.workspace_build_id = its_build and p.round = its_round
                and (p.phase = v.phase or p.ended_at is null)
        )
        order by phase_place(v.phase)
        limit 1
        returning workspace_build_phases.* into ended;
        if found then
            items := items || phase_item(its_number, ended);
            item_times := item_times || ended.began_at;
        end if;
    end loop;
    if its_task is null or cardinality(items) = 0 then
        return 0;
    end if;
    -- Once: of a row that the same transaction has changed before, all foreign keys are looked up again.
    update tasks set last_number = last_number + cardinality(items) where id = its_task
    returning last_number - cardinality(items) into number_before;
    insert into task_items (task_id, number, seq, generation, kind, turn, data, time, stored_at)
    select its_task, number_before + i.place, null, null, 'phase', 0, i.item, i.told_at, at
    from unnest(items, item_times) with ordinality as i (item, told_at, place);
    perform pg_notify('taskyard', 'items:' || its_task);  -- for those who follow the transcript
    return cardinality(items);
end
$$;

CREATE FUNCTION public.home_of(host_id uuid, driver text) RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select coalesce(host_id, case when driver is not null then (select d.id from deployment d) end)
$$;

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

CREATE FUNCTION public.keep_audit() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if tg_op = 'DELETE' and coalesce(current_setting('taskyard.reaping', true), '') = 'audit' then
        return old;
    end if;
    raise exception 'the audit is only added to: % on audit_logs was refused', lower(tg_op)
        using errcode = 'restrict_violation', hint = 'Old rows go by the setting keep_audit.';
end
$$;

CREATE FUNCTION public.keep_task_status() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if new.deleted then
        delete from task_statuses s where s.task_id = new.task_id;
    else
        insert into task_statuses as s (task_id, created_at, status)
        select t.id, t.created_at, new.status from tasks t where t.id = new.task_id
        on conflict (task_id) do update set status = excluded.status where s.status <> excluded.status;
    end if;
    return null;
end
$$;

CREATE FUNCTION public.note_task(wanted uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    seen task_events%rowtype;
    found_one boolean;
    now_is task_standing%rowtype;
begin
    -- Once a transaction: all that it changed is there when the first of its triggers runs, at its end.
    if current_setting('taskyard.noted', true) = wanted::text then
        return;
    end if;
    perform set_config('taskyard.noted', wanted::text, true);
    perform pg_advisory_xact_lock(7245005);  -- EVENTS of db/locks.py
    select * into seen from task_events e where e.task_id = wanted order by e.id desc limit 1;
    found_one := found;
    if found_one and seen.deleted then
        return;
    end if;
    select * into now_is from task_standing s where s.task_id = wanted;
    if not found then
        if not found_one then
            return;
        end if;
        seen.deleted := true;
    elsif found_one and (
        seen.name, seen.status, seen.report_state, seen.report_message, seen.report_uri, seen.job_status,
        seen.agent_lifecycle, seen.app_health, seen.build_created_at, seen.waiting_kind, seen.waiting_id,
        seen.waiting_title, seen.display_name
    ) is not distinct from (
        now_is.name, now_is.status, now_is.report_state, now_is.report_message, now_is.report_uri, now_is.job_status,
        now_is.agent_lifecycle, now_is.app_health, now_is.build_created_at, now_is.waiting_kind, now_is.waiting_id,
        now_is.waiting_title, now_is.display_name
    ) then
        return;
    else
        seen.task_id := now_is.task_id;
        seen.owner_id := now_is.owner_id;
        seen.organization_id := now_is.organization_id;
        seen.name := now_is.name;
        seen.deleted := false;
        seen.status := now_is.status;
        seen.report_state := now_is.report_state;
        seen.report_message := now_is.report_message;
        seen.report_uri := now_is.report_uri;
        seen.report_created_at := now_is.report_created_at;
        seen.job_status := now_is.job_status;
        seen.agent_lifecycle := now_is.agent_lifecycle;
        seen.app_health := now_is.app_health;
        seen.build_created_at := now_is.build_created_at;
        seen.waiting_kind := now_is.waiting_kind;
        seen.waiting_id := now_is.waiting_id;
        seen.waiting_title := now_is.waiting_title;
        seen.display_name := now_is.display_name;
    end if;
    insert into task_events (
        task_id, owner_id, organization_id, name, at, deleted, status, report_state, report_message, report_uri,
        report_created_at, job_status, agent_lifecycle, app_health, build_created_at, waiting_kind, waiting_id,
        waiting_title, display_name
    ) values (
        seen.task_id, seen.owner_id, seen.organization_id, seen.name, clock_timestamp(), seen.deleted, seen.status,
        seen.report_state, seen.report_message, seen.report_uri, seen.report_created_at, seen.job_status,
        seen.agent_lifecycle, seen.app_health, seen.build_created_at, seen.waiting_kind, seen.waiting_id,
        seen.waiting_title, seen.display_name
    );
    -- A workspace may report without end. Each event holds all that a client sees, so an old one is a loss to nobody
    -- who wants to know what is; the reaper takes the rest by their age.
    delete from task_events e
    where e.task_id = wanted
        and e.id <= (select k.id from task_events k where k.task_id = wanted order by k.id desc offset 500 limit 1);
    perform pg_notify('taskyard', 'events:' || wanted);
end
$$;

CREATE FUNCTION public.note_task_observed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform note_task(new.task_id);
    return null;
end
$$;

CREATE FUNCTION public.note_task_of_app() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wanted uuid;
begin
    select t.id into wanted
    from workspace_agents a
    join tasks t on t.workspace_id = a.workspace_id and t.deleted_at is null
    where a.id = new.agent_id;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;

CREATE FUNCTION public.note_task_of_generation() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wanted uuid;
begin
    select t.id into wanted from tasks t where t.workspace_id = new.id and t.deleted_at is null;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;

CREATE FUNCTION public.note_task_of_task() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform note_task(new.id);
    return null;
end
$$;

CREATE FUNCTION public.note_task_of_workspace() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wanted uuid;
begin
    select t.id into wanted from tasks t where t.workspace_id = new.workspace_id and t.deleted_at is null;
    if wanted is not null then
        perform note_task(wanted);
    end if;
    return null;
end
$$;

CREATE TABLE public.workspace_build_phases (
    workspace_build_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    round integer NOT NULL,
    phase text NOT NULL,
    began_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome text,
    cause text,
    reason text,
    CONSTRAINT workspace_build_phases_cause_check CHECK ((cause = ANY (ARRAY['driver'::text, 'template'::text, 'secrets'::text, 'canceled'::text, 'workers_lost'::text, 'internal'::text, 'lost'::text, 'never_connected'::text, 'protocol'::text, 'script'::text, 'script_timeout'::text, 'program_missing'::text, 'agent_exited'::text, 'sign_in'::text, 'app_unhealthy'::text, 'prompt_refused'::text, 'prompt_uncertain'::text, 'turn_failed'::text]))),
    CONSTRAINT workspace_build_phases_check CHECK (((ended_at IS NULL) = (outcome IS NULL))),
    CONSTRAINT workspace_build_phases_check1 CHECK ((ended_at >= began_at)),
    CONSTRAINT workspace_build_phases_check2 CHECK (((NOT (outcome IS DISTINCT FROM 'failed'::text)) = (cause IS NOT NULL))),
    CONSTRAINT workspace_build_phases_check3 CHECK (((reason IS NULL) OR (outcome <> 'done'::text))),
    CONSTRAINT workspace_build_phases_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'failed'::text, 'skipped'::text]))),
    CONSTRAINT workspace_build_phases_phase_check CHECK ((phase = ANY (ARRAY['queued'::text, 'preparing'::text, 'starting'::text, 'connecting'::text, 'scripts'::text, 'coding_agent'::text, 'first_prompt'::text, 'first_answer'::text]))),
    CONSTRAINT workspace_build_phases_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT workspace_build_phases_round_check CHECK ((round >= 1))
);

CREATE FUNCTION public.phase_item(number integer, p public.workspace_build_phases) RETURNS json
    LANGUAGE sql STABLE
    AS $$
    select json_build_object(
        'build_number', number, 'round', p.round, 'phase', p.phase, 'state', coalesce(p.outcome, 'began'),
        'ms', floor(extract(epoch from p.ended_at - p.began_at) * 1000)::bigint, 'reason', p.reason
    )
$$;

CREATE FUNCTION public.phase_place(phase text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    select array_position(array[
        'queued', 'preparing', 'starting', 'connecting', 'scripts', 'coding_agent', 'first_prompt', 'first_answer'
    ], phase)
$$;

CREATE FUNCTION public.room_for_start() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into workspace_room as r (workspace_id, owner_id, organization_id, host_id, taken, waits, initiator_id)
    select
        w.id, w.owner_id, w.organization_id, home_of(w.host_id, w.driver), not f.pending,
        case when f.pending then j.place end, case when f.pending then j.initiator_id end
    from workspaces w
    join provisioner_jobs j on j.id = new.job_id
    cross join lateral (select j.started_at is null and j.completed_at is null as pending) f
    where w.id = new.workspace_id and not w.deleted and j.error is null
        and (j.completed_at is null or j.canceled_at is null)
    on conflict (workspace_id) do update
    set taken = r.taken or excluded.taken, waits = excluded.waits, initiator_id = excluded.initiator_id;
    update provisioner_jobs j
    set for_room = true
    where j.id = new.job_id and j.started_at is null and j.completed_at is null
        and not exists (select from workspace_room r where r.workspace_id = new.workspace_id and r.taken);
    return null;
end
$$;

CREATE FUNCTION public.room_of_job() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    wanted text;
begin
    select b.transition into wanted from workspace_builds b where b.job_id = new.id;
    if wanted = 'start' and old.started_at is null and new.started_at is not null then
        insert into workspace_room as r (workspace_id, owner_id, organization_id, host_id, taken)
        select w.id, w.owner_id, w.organization_id, home_of(w.host_id, w.driver), true
        from workspaces w
        where w.id = new.workspace_id
        on conflict (workspace_id) do update set taken = true, waits = null, initiator_id = null;
    elsif wanted = 'start' and new.started_at is null and new.completed_at is not null then
        delete from workspace_room where workspace_id = new.workspace_id and not taken;
        update workspace_room set waits = null, initiator_id = null where workspace_id = new.workspace_id;
    elsif wanted <> 'start' and new.completed_at is not null and new.error is null and new.canceled_at is null then
        delete from workspace_room where workspace_id = new.workspace_id;
    end if;
    return null;
end
$$;

CREATE FUNCTION public.room_of_workspace() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if new.deleted then
        delete from workspace_room where workspace_id = new.id;
    else
        update workspace_room
        set owner_id = new.owner_id, organization_id = new.organization_id, host_id = home_of(new.host_id, new.driver)
        where workspace_id = new.id;
    end if;
    return null;
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

CREATE TABLE public.app_visits (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    generation integer NOT NULL,
    slug text NOT NULL,
    key_id text NOT NULL,
    ticket_hash bytea,
    cookie_hash bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT app_visits_check CHECK (((ticket_hash IS NULL) <> (cookie_hash IS NULL))),
    CONSTRAINT app_visits_cookie_hash_check CHECK ((length(cookie_hash) = 32)),
    CONSTRAINT app_visits_ticket_hash_check CHECK ((length(ticket_hash) = 32))
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
    max_running integer,
    CONSTRAINT users_check CHECK (((login_type = 'password'::text) OR (password_hash IS NULL))),
    CONSTRAINT users_email_check CHECK ((email ~~ '%_@_%'::text)),
    CONSTRAINT users_login_type_check CHECK ((login_type = ANY (ARRAY['password'::text, 'github'::text, 'oidc'::text, 'token'::text, 'none'::text]))),
    CONSTRAINT users_max_running_check CHECK ((max_running >= 1)),
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
    key_id text
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
    for_room boolean DEFAULT false NOT NULL,
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
    force boolean DEFAULT false NOT NULL,
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
    host_id uuid,
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
    peer_key bytea,
    CONSTRAINT deployment_only_row_check CHECK (only_row),
    CONSTRAINT deployment_peer_key_check CHECK ((length(peer_key) = 32))
);

CREATE TABLE public.files (
    id uuid NOT NULL,
    sha256 bytea NOT NULL,
    created_by uuid NOT NULL,
    mimetype text NOT NULL,
    data bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    touched_at timestamp with time zone,
    CONSTRAINT files_sha256_check CHECK ((length(sha256) = 32))
);

CREATE TABLE public.git_ssh_keys (
    user_id uuid NOT NULL,
    public_key text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT git_ssh_keys_public_key_check CHECK ((public_key ~~ 'ssh-ed25519 %'::text))
);

CREATE TABLE public.hosts (
    id uuid NOT NULL,
    name text NOT NULL,
    joined_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE public.idempotency_keys (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    fingerprint bytea NOT NULL,
    request_id text NOT NULL,
    lease_expires_at timestamp with time zone NOT NULL,
    deeds integer DEFAULT 0 NOT NULL,
    deed_action text,
    deed_resource_type text,
    deed_resource_id text,
    deed_resource_name text,
    deed_at timestamp with time zone,
    finished_at timestamp with time zone,
    answer bytea,
    sealed boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_check CHECK (((deeds = 0) = (deed_at IS NULL))),
    CONSTRAINT idempotency_keys_check1 CHECK ((((deed_at IS NULL) = (deed_action IS NULL)) AND ((deed_at IS NULL) = (deed_resource_id IS NULL)))),
    CONSTRAINT idempotency_keys_check2 CHECK (((answer IS NULL) OR (finished_at IS NOT NULL))),
    CONSTRAINT idempotency_keys_deeds_check CHECK ((deeds >= 0)),
    CONSTRAINT idempotency_keys_fingerprint_check CHECK ((length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_key_check CHECK ((key ~ '^[!-~]{1,255}$'::text))
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
    max_running integer,
    CONSTRAINT organizations_max_running_check CHECK ((max_running >= 1)),
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

CREATE TABLE public.servers (
    id uuid NOT NULL,
    host_id uuid NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    roles text[] NOT NULL,
    version text NOT NULL,
    place text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT servers_roles_check CHECK ((roles <@ ARRAY['api'::text, 'worker'::text]))
);

CREATE TABLE public.task_events (
    id bigint NOT NULL,
    task_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    name text NOT NULL,
    at timestamp with time zone NOT NULL,
    deleted boolean NOT NULL,
    status text NOT NULL,
    report_state text,
    report_message text,
    report_uri text,
    report_created_at timestamp with time zone,
    job_status text,
    agent_lifecycle text,
    app_health text,
    build_created_at timestamp with time zone,
    waiting_kind text,
    waiting_id text,
    waiting_title text,
    display_name text
);

ALTER TABLE public.task_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.task_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.task_events_kept (
    only_row boolean DEFAULT true NOT NULL,
    after bigint NOT NULL,
    CONSTRAINT task_events_kept_only_row_check CHECK (only_row)
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

CREATE TABLE public.task_statuses (
    task_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status text NOT NULL
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
    item_bytes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT tasks_item_bytes_check CHECK ((item_bytes >= 0)),
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
    o.waiting_title,
    k.status AS noted_status
   FROM ((((((((((public.tasks t
     LEFT JOIN public.task_statuses k ON (((k.task_id = t.id) AND (k.created_at = t.created_at))))
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
     LEFT JOIN LATERAL ( SELECT q.waiting_kind,
            q.waiting_id,
            q.waiting_title
           FROM public.task_observed q
          WHERE ((q.task_id = t.id) AND (q.generation = w.generation))
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
    created_by uuid,
    after_seq bigint,
    CONSTRAINT task_prompts_after_seq_check CHECK ((after_seq >= 0)),
    CONSTRAINT task_prompts_check CHECK (((state = 'waiting'::text) = (sent_at IS NULL))),
    CONSTRAINT task_prompts_check1 CHECK (((state = ANY (ARRAY['delivered'::text, 'uncertain'::text, 'failed'::text])) = (settled_at IS NOT NULL))),
    CONSTRAINT task_prompts_check2 CHECK (((source = 'input'::text) = (workspace_build_id IS NOT NULL))),
    CONSTRAINT task_prompts_content_check CHECK ((content <> ''::text)),
    CONSTRAINT task_prompts_number_check CHECK ((number >= 1)),
    CONSTRAINT task_prompts_source_check CHECK ((source = ANY (ARRAY['input'::text, 'queue'::text]))),
    CONSTRAINT task_prompts_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sending'::text, 'delivered'::text, 'uncertain'::text, 'failed'::text])))
);

ALTER TABLE public.task_prompts ALTER COLUMN place ADD GENERATED BY DEFAULT AS IDENTITY (
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

CREATE VIEW public.task_standing AS
 SELECT f.id AS task_id,
    f.owner_id,
    f.organization_id,
    f.name,
    false AS deleted,
    f.status,
        CASE
            WHEN s.counts THEN f.report_state
            ELSE NULL::text
        END AS report_state,
        CASE
            WHEN s.counts THEN f.report_message
            ELSE NULL::text
        END AS report_message,
        CASE
            WHEN s.counts THEN f.report_uri
            ELSE NULL::text
        END AS report_uri,
        CASE
            WHEN s.counts THEN f.report_created_at
            ELSE NULL::timestamp with time zone
        END AS report_created_at,
        CASE
            WHEN (f.status = 'initializing'::text) THEN f.job_status
            ELSE NULL::text
        END AS job_status,
        CASE
            WHEN (f.status = 'initializing'::text) THEN f.agent_lifecycle
            ELSE NULL::text
        END AS agent_lifecycle,
        CASE
            WHEN (f.status = 'initializing'::text) THEN f.app_health
            ELSE NULL::text
        END AS app_health,
        CASE
            WHEN (f.status = 'initializing'::text) THEN f.build_created_at
            ELSE NULL::timestamp with time zone
        END AS build_created_at,
        CASE
            WHEN (f.status = 'active'::text) THEN f.waiting_kind
            ELSE NULL::text
        END AS waiting_kind,
        CASE
            WHEN (f.status = 'active'::text) THEN f.waiting_id
            ELSE NULL::text
        END AS waiting_id,
        CASE
            WHEN (f.status = 'active'::text) THEN f.waiting_title
            ELSE NULL::text
        END AS waiting_title,
    f.display_name
   FROM (public.task_facts f
     CROSS JOIN LATERAL ( SELECT ((f.transition IS DISTINCT FROM 'start'::text) OR (f.report_created_at > f.build_created_at)) AS counts) s);

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

CREATE TABLE public.upkeep (
    name text NOT NULL,
    began_at timestamp with time zone NOT NULL
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

CREATE TABLE public.workspace_network (
    workspace_id uuid NOT NULL,
    verdict text NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_network_check CHECK ((last_at >= first_at)),
    CONSTRAINT workspace_network_count_check CHECK ((count >= 1)),
    CONSTRAINT workspace_network_host_check CHECK ((length(host) <= 300)),
    CONSTRAINT workspace_network_method_check CHECK ((length(method) <= 40)),
    CONSTRAINT workspace_network_path_check CHECK ((length(path) <= 300)),
    CONSTRAINT workspace_network_port_check CHECK (((port >= 0) AND (port <= 65535))),
    CONSTRAINT workspace_network_reason_check CHECK ((length(reason) <= 100)),
    CONSTRAINT workspace_network_verdict_check CHECK ((verdict = ANY (ARRAY['allowed'::text, 'refused'::text, 'failed'::text])))
);

CREATE TABLE public.workspace_resources (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    transition text NOT NULL,
    type text NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT workspace_resources_transition_check CHECK ((transition = ANY (ARRAY['start'::text, 'stop'::text, 'delete'::text])))
);

CREATE TABLE public.workspace_room (
    workspace_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    host_id uuid,
    taken boolean DEFAULT false NOT NULL,
    waits bigint,
    initiator_id uuid
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.app_visits
    ADD CONSTRAINT app_visits_cookie_hash_key UNIQUE (cookie_hash);

ALTER TABLE ONLY public.app_visits
    ADD CONSTRAINT app_visits_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.app_visits
    ADD CONSTRAINT app_visits_ticket_hash_key UNIQUE (ticket_hash);

ALTER TABLE public.audit_logs
    ADD CONSTRAINT audit_logs_action_check CHECK ((action = ANY (ARRAY['create'::text, 'write'::text, 'delete'::text, 'start'::text, 'stop'::text, 'login'::text, 'logout'::text, 'send'::text, 'interrupt'::text, 'answer'::text, 'attach'::text, 'push'::text]))) NOT VALID;

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

ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_owner_id_key_key UNIQUE (owner_id, key);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id);

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

ALTER TABLE ONLY public.servers
    ADD CONSTRAINT servers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_events_kept
    ADD CONSTRAINT task_events_kept_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.task_events
    ADD CONSTRAINT task_events_pkey PRIMARY KEY (id);

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

ALTER TABLE ONLY public.task_statuses
    ADD CONSTRAINT task_statuses_pkey PRIMARY KEY (task_id);

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

ALTER TABLE ONLY public.upkeep
    ADD CONSTRAINT upkeep_pkey PRIMARY KEY (name);

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

ALTER TABLE ONLY public.workspace_build_phases
    ADD CONSTRAINT workspace_build_phases_pkey PRIMARY KEY (workspace_build_id, round, phase);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_builds
    ADD CONSTRAINT workspace_builds_workspace_id_build_number_key UNIQUE (workspace_id, build_number);

ALTER TABLE ONLY public.workspace_network
    ADD CONSTRAINT workspace_network_pkey PRIMARY KEY (workspace_id, verdict, host, port, method, path, reason);

ALTER TABLE ONLY public.workspace_resources
    ADD CONSTRAINT workspace_resources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.workspace_room
    ADD CONSTRAINT workspace_room_pkey PRIMARY KEY (workspace_id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_pkey PRIMARY KEY (id);

CREATE INDEX api_keys_expired ON public.api_keys USING btree (expires_at);

CREATE UNIQUE INDEX api_keys_token_name ON public.api_keys USING btree (user_id, token_name) WHERE (token_name <> ''::text);

CREATE INDEX api_keys_user ON public.api_keys USING btree (user_id, created_at);

CREATE INDEX app_visits_expire ON public.app_visits USING btree (expires_at);

CREATE INDEX app_visits_keys ON public.app_visits USING btree (key_id);

CREATE INDEX app_visits_workspaces ON public.app_visits USING btree (workspace_id);

CREATE INDEX audit_logs_at ON public.audit_logs USING btree (at DESC, id);

CREATE INDEX audit_logs_organization ON public.audit_logs USING btree (organization_id, at DESC, id DESC) WHERE (organization_id IS NOT NULL);

CREATE INDEX audit_logs_request ON public.audit_logs USING btree (request_id) WHERE (request_id IS NOT NULL);

CREATE INDEX audit_logs_resource ON public.audit_logs USING btree (resource_type, resource_id, at DESC);

CREATE INDEX audit_logs_user ON public.audit_logs USING btree (user_id, at DESC);

CREATE INDEX files_age ON public.files USING btree (COALESCE(touched_at, created_at));

CREATE UNIQUE INDEX files_once ON public.files USING btree (created_by, sha256);

CREATE INDEX idempotency_keys_expired ON public.idempotency_keys USING btree (expires_at);

CREATE INDEX login_attempts_window ON public.login_attempts USING btree (window_start);

CREATE INDEX organization_members_user ON public.organization_members USING btree (user_id);

CREATE INDEX organizations_limited ON public.organizations USING btree (id) WHERE (max_running IS NOT NULL);

CREATE UNIQUE INDEX organizations_name ON public.organizations USING btree (lower(name));

CREATE UNIQUE INDEX organizations_one_default ON public.organizations USING btree (is_default) WHERE is_default;

CREATE INDEX provisioner_job_logs_job ON public.provisioner_job_logs USING btree (job_id, id);

CREATE INDEX provisioner_jobs_askers ON public.provisioner_jobs USING btree (initiator_id, place) WHERE ((completed_at IS NULL) AND (NOT for_room));

CREATE INDEX provisioner_jobs_earlier ON public.provisioner_jobs USING btree (workspace_id, place) WHERE ((completed_at IS NULL) AND (workspace_id IS NOT NULL));

CREATE INDEX provisioner_jobs_file ON public.provisioner_jobs USING btree (file_id);

CREATE INDEX provisioner_jobs_held ON public.provisioner_jobs USING btree (initiator_id) WHERE ((completed_at IS NULL) AND (worker_id IS NOT NULL));

CREATE UNIQUE INDEX provisioner_jobs_one_repair ON public.provisioner_jobs USING btree (workspace_id) WHERE ((type = 'workspace_repair'::text) AND (completed_at IS NULL));

CREATE INDEX provisioner_jobs_open ON public.provisioner_jobs USING btree (place) WHERE (completed_at IS NULL);

CREATE INDEX provisioner_jobs_ready ON public.provisioner_jobs USING btree (place) WHERE ((completed_at IS NULL) AND (NOT for_room));

CREATE INDEX provisioner_jobs_workspace ON public.provisioner_jobs USING btree (workspace_id, place) WHERE (workspace_id IS NOT NULL);

CREATE UNIQUE INDEX secrets_name ON public.secrets USING btree (COALESCE(organization_id, template_id, user_id), name);

CREATE INDEX servers_host ON public.servers USING btree (host_id, seen_at);

CREATE INDEX task_events_task ON public.task_events USING btree (task_id, id DESC);

CREATE INDEX task_permissions_id ON public.task_permissions USING btree (task_id, id, number DESC);

CREATE INDEX task_permissions_open ON public.task_permissions USING btree (task_id, number) WHERE (answered_at IS NULL);

CREATE INDEX task_prompts_build ON public.task_prompts USING btree (workspace_build_id) WHERE (workspace_build_id IS NOT NULL);

CREATE INDEX task_prompts_delivered ON public.task_prompts USING btree (task_id, place DESC) WHERE (state = 'delivered'::text);

CREATE UNIQUE INDEX task_prompts_one_input ON public.task_prompts USING btree (workspace_build_id) WHERE (source = 'input'::text);

CREATE INDEX task_prompts_settled ON public.task_prompts USING btree (task_id, settled_at DESC) WHERE (settled_at IS NOT NULL);

CREATE INDEX task_prompts_task ON public.task_prompts USING btree (task_id);

CREATE INDEX task_prompts_waiting ON public.task_prompts USING btree (task_id, place) WHERE (state = ANY (ARRAY['waiting'::text, 'sending'::text]));

CREATE INDEX task_statuses_newest ON public.task_statuses USING btree (status, created_at DESC, task_id DESC);

CREATE INDEX tasks_gone ON public.tasks USING btree (workspace_id) WHERE (deleted_at IS NOT NULL);

CREATE UNIQUE INDEX tasks_made ON public.tasks USING btree (id, created_at);

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

CREATE INDEX users_limited ON public.users USING btree (id) WHERE (max_running IS NOT NULL);

CREATE UNIQUE INDEX users_username ON public.users USING btree (lower(username)) WHERE (NOT deleted);

CREATE INDEX workspace_agent_logs_agent ON public.workspace_agent_logs USING btree (agent_id, id);

CREATE INDEX workspace_agents_build ON public.workspace_agents USING btree (workspace_build_id);

CREATE INDEX workspace_agents_resource ON public.workspace_agents USING btree (resource_id);

CREATE UNIQUE INDEX workspace_agents_token ON public.workspace_agents USING btree (token_hash);

CREATE INDEX workspace_agents_workspace ON public.workspace_agents USING btree (workspace_id);

CREATE INDEX workspace_app_statuses_agent ON public.workspace_app_statuses USING btree (agent_id);

CREATE INDEX workspace_app_statuses_app ON public.workspace_app_statuses USING btree (app_id, place DESC);

CREATE INDEX workspace_app_statuses_newest ON public.workspace_app_statuses USING btree (workspace_id, place DESC);

CREATE INDEX workspace_build_phases_open ON public.workspace_build_phases USING btree (workspace_id, began_at DESC) WHERE ((ended_at IS NULL) OR ((phase = 'coding_agent'::text) AND (outcome = 'failed'::text)));

CREATE UNIQUE INDEX workspace_build_phases_running ON public.workspace_build_phases USING btree (workspace_id) WHERE (ended_at IS NULL);

CREATE INDEX workspace_builds_newest ON public.workspace_builds USING btree (workspace_id, build_number DESC);

CREATE UNIQUE INDEX workspace_builds_one_active ON public.workspace_builds USING btree (workspace_id) WHERE (NOT settled);

CREATE INDEX workspace_builds_version ON public.workspace_builds USING btree (template_version_id, created_at DESC);

CREATE INDEX workspace_resources_job ON public.workspace_resources USING btree (job_id);

CREATE INDEX workspace_room_askers ON public.workspace_room USING btree (initiator_id, owner_id, organization_id, waits, host_id) WHERE (waits IS NOT NULL);

CREATE INDEX workspace_room_hosts ON public.workspace_room USING btree (host_id) WHERE taken;

CREATE INDEX workspace_room_organizations ON public.workspace_room USING btree (organization_id, owner_id) WHERE taken;

CREATE INDEX workspace_room_taken ON public.workspace_room USING btree (owner_id, organization_id) WHERE taken;

CREATE INDEX workspace_room_waits ON public.workspace_room USING btree (initiator_id, owner_id, organization_id, host_id, waits) WHERE (waits IS NOT NULL);

CREATE INDEX workspaces_deleting ON public.workspaces USING btree (deleting_at) WHERE ((deleting_at IS NOT NULL) AND (NOT deleted));

CREATE INDEX workspaces_gone ON public.workspaces USING btree (updated_at) WHERE deleted;

CREATE UNIQUE INDEX workspaces_name ON public.workspaces USING btree (owner_id, lower(name)) WHERE (NOT deleted);

CREATE INDEX workspaces_template ON public.workspaces USING btree (template_id, owner_id) WHERE (NOT deleted);

CREATE TRIGGER audit_logs_kept BEFORE DELETE OR UPDATE ON public.audit_logs FOR EACH ROW EXECUTE FUNCTION public.keep_audit();

CREATE TRIGGER audit_logs_whole BEFORE TRUNCATE ON public.audit_logs FOR EACH STATEMENT EXECUTE FUNCTION public.keep_audit();

CREATE TRIGGER provisioner_jobs_begun BEFORE UPDATE OF started_at, completed_at ON public.provisioner_jobs FOR EACH ROW WHEN ((new.for_room AND ((new.started_at IS NOT NULL) OR (new.completed_at IS NOT NULL)))) EXECUTE FUNCTION public.begin_for_room();

CREATE TRIGGER provisioner_jobs_room AFTER UPDATE OF started_at, completed_at ON public.provisioner_jobs FOR EACH ROW WHEN (((new.type = 'workspace_build'::text) AND (((old.started_at IS NULL) <> (new.started_at IS NULL)) OR ((old.completed_at IS NULL) <> (new.completed_at IS NULL))))) EXECUTE FUNCTION public.room_of_job();

CREATE CONSTRAINT TRIGGER task_agent_changed AFTER UPDATE OF lifecycle ON public.workspace_agents DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.lifecycle <> new.lifecycle)) EXECUTE FUNCTION public.note_task_of_workspace();

CREATE CONSTRAINT TRIGGER task_app_changed AFTER UPDATE OF health ON public.workspace_apps DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.health <> new.health)) EXECUTE FUNCTION public.note_task_of_app();

CREATE CONSTRAINT TRIGGER task_build_changed AFTER UPDATE OF agent_id, app_id ON public.workspace_builds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((old.agent_id IS DISTINCT FROM new.agent_id) OR (old.app_id IS DISTINCT FROM new.app_id))) EXECUTE FUNCTION public.note_task_of_workspace();

CREATE CONSTRAINT TRIGGER task_build_made AFTER INSERT ON public.workspace_builds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_task_of_workspace();

CREATE CONSTRAINT TRIGGER task_changed AFTER UPDATE OF name, deleted_at ON public.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((old.name IS DISTINCT FROM new.name) OR (old.deleted_at IS DISTINCT FROM new.deleted_at))) EXECUTE FUNCTION public.note_task_of_task();

CREATE TRIGGER task_event_added AFTER INSERT ON public.task_events FOR EACH ROW EXECUTE FUNCTION public.keep_task_status();

CREATE CONSTRAINT TRIGGER task_generation_changed AFTER UPDATE OF generation ON public.workspaces DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.generation <> new.generation)) EXECUTE FUNCTION public.note_task_of_generation();

CREATE CONSTRAINT TRIGGER task_job_changed AFTER UPDATE OF started_at, completed_at, canceled_at, error ON public.provisioner_jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.type = 'workspace_build'::text) AND (public.job_status(old.started_at, old.completed_at, old.canceled_at, old.error) <> public.job_status(new.started_at, new.completed_at, new.canceled_at, new.error)))) EXECUTE FUNCTION public.note_task_of_workspace();

CREATE CONSTRAINT TRIGGER task_made AFTER INSERT ON public.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_task_of_task();

CREATE CONSTRAINT TRIGGER task_observed_changed AFTER UPDATE ON public.task_observed DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((((((old.generation IS DISTINCT FROM new.generation) OR (old.waiting_kind IS DISTINCT FROM new.waiting_kind)) OR (old.waiting_id IS DISTINCT FROM new.waiting_id)) OR (old.waiting_title IS DISTINCT FROM new.waiting_title)) AND ((old.waiting_kind IS NOT NULL) OR (new.waiting_kind IS NOT NULL)))) EXECUTE FUNCTION public.note_task_observed();

CREATE CONSTRAINT TRIGGER task_observed_first AFTER INSERT ON public.task_observed DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.waiting_kind IS NOT NULL)) EXECUTE FUNCTION public.note_task_observed();

CREATE CONSTRAINT TRIGGER task_renamed AFTER UPDATE OF display_name ON public.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((old.display_name <> new.display_name)) EXECUTE FUNCTION public.note_task_of_task();

CREATE CONSTRAINT TRIGGER task_reported AFTER INSERT ON public.workspace_app_statuses DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note_task_of_workspace();

CREATE TRIGGER workspace_builds_room AFTER INSERT ON public.workspace_builds FOR EACH ROW WHEN ((new.transition = 'start'::text)) EXECUTE FUNCTION public.room_for_start();

CREATE TRIGGER workspaces_room AFTER UPDATE OF deleted, owner_id, organization_id, host_id, driver ON public.workspaces FOR EACH ROW WHEN ((((((old.deleted IS DISTINCT FROM new.deleted) OR (old.owner_id IS DISTINCT FROM new.owner_id)) OR (old.organization_id IS DISTINCT FROM new.organization_id)) OR (old.host_id IS DISTINCT FROM new.host_id)) OR (old.driver IS DISTINCT FROM new.driver))) EXECUTE FUNCTION public.room_of_workspace();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.app_visits
    ADD CONSTRAINT app_visits_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.app_visits
    ADD CONSTRAINT app_visits_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

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

ALTER TABLE ONLY public.servers
    ADD CONSTRAINT servers_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.hosts(id);

ALTER TABLE ONLY public.task_items
    ADD CONSTRAINT task_items_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);

ALTER TABLE ONLY public.task_observed
    ADD CONSTRAINT task_observed_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_permissions
    ADD CONSTRAINT task_permissions_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id);

ALTER TABLE ONLY public.task_prompts
    ADD CONSTRAINT task_prompts_workspace_build_id_fkey FOREIGN KEY (workspace_build_id) REFERENCES public.workspace_builds(id);

ALTER TABLE ONLY public.task_reports
    ADD CONSTRAINT task_reports_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_snapshots
    ADD CONSTRAINT task_snapshots_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.task_statuses
    ADD CONSTRAINT task_statuses_task_id_created_at_fkey FOREIGN KEY (task_id, created_at) REFERENCES public.tasks(id, created_at) ON UPDATE CASCADE ON DELETE CASCADE;

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

ALTER TABLE ONLY public.workspace_build_phases
    ADD CONSTRAINT workspace_build_phases_workspace_build_id_fkey FOREIGN KEY (workspace_build_id) REFERENCES public.workspace_builds(id) ON DELETE CASCADE;

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

ALTER TABLE ONLY public.workspace_network
    ADD CONSTRAINT workspace_network_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES public.workspaces(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.workspace_resources
    ADD CONSTRAINT workspace_resources_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.provisioner_jobs(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.workspaces
    ADD CONSTRAINT workspaces_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.templates(id);
