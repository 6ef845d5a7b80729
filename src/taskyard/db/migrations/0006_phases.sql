-- What each start went through, and when. The rules are those of lifecycle/phases.py, which a test compares.

-- One phase of a start. A start that is repaired goes through them anew: that is its next round. Times are by the
-- server's clock.
create table workspace_build_phases (
    workspace_build_id uuid not null references workspace_builds (id) on delete cascade,
    workspace_id uuid not null,                                     -- of the build; no key, which would lock its row
    round integer not null check (round >= 1),
    phase text not null check (phase in (
        'queued', 'preparing', 'starting', 'connecting', 'scripts', 'coding_agent', 'first_prompt', 'first_answer')),
    began_at timestamptz not null,
    ended_at timestamptz,                                           -- null: it goes on
    outcome text check (outcome in ('done', 'failed', 'skipped')),
    cause text check (cause in (
        'driver', 'template', 'secrets', 'canceled', 'workers_lost', 'internal', 'lost', 'never_connected', 'protocol',
        'script', 'script_timeout', 'program_missing', 'agent_exited', 'sign_in', 'app_unhealthy', 'prompt_refused',
        'prompt_uncertain', 'turn_failed')),
    reason text check (reason <> ''),                               -- of a failure, or why it was not waited for
    primary key (workspace_build_id, round, phase),
    check ((ended_at is null) = (outcome is null)),
    check (ended_at >= began_at),
    check ((outcome is not distinct from 'failed') = (cause is not null)),
    check (reason is null or outcome <> 'done')
);
-- A workspace is in one phase at a time.
create unique index workspace_build_phases_running on workspace_build_phases (workspace_id) where ended_at is null;

-- What items of a workspace may still end.
create index workspace_build_phases_open on workspace_build_phases (workspace_id, began_at desc)
    where ended_at is null or (phase = 'coding_agent' and outcome = 'failed');

-- The place of a phase in the order of all, from 1. Mirrors lifecycle/phases.py.
create function phase_place(phase text) returns integer language sql immutable parallel safe as $$
    select array_position(array[
        'queued', 'preparing', 'starting', 'connecting', 'scripts', 'coding_agent', 'first_prompt', 'first_answer'
    ], phase)
$$;

-- The first phase of a new round of a start, which waits for a worker; its number. What went on in the workspace
-- until now is not waited for any more.
create function begin_phases(its_workspace uuid, its_build uuid, at timestamptz) returns integer language plpgsql as $$
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

-- What an item of a task's transcript says of a phase.
create function phase_item(number integer, p workspace_build_phases) returns json language sql stable as $$
    select json_build_object(
        'build_number', number, 'round', p.round, 'phase', p.phase, 'state', coalesce(p.outcome, 'began'),
        'ms', floor(extract(epoch from p.ended_at - p.began_at) * 1000)::bigint, 'reason', p.reason
    )
$$;

-- Ends phases of a start's newest round, one after the other, begins what comes next, and tells it in the transcript;
-- how many items that took. A null phase stands for whichever runs. What is skipped in advance comes first. Each phase
-- ends once, but one that failed may turn out well after all. Mirrors lifecycle/phases.py.
create function end_phases(
    its_build uuid, skips text[], phases text[], outcomes text[], causes text[], reasons text[], times timestamptz[],
    at timestamptz
) returns integer language plpgsql as $$
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
