-- Builds that are made by force, and how many workspaces an organization or a user may have running at once.

-- Without grace for what runs; a delete gives the record up where its driver cannot be reached.
alter table workspace_builds add column force boolean not null default false;

-- Null: what the settings of the server say.
alter table organizations add column max_running integer check (max_running >= 1);
alter table users add column max_running integer check (max_running >= 1);
create index organizations_limited on organizations (id) where max_running is not null;
create index users_limited on users (id) where max_running is not null;

-- Workspaces that take room on the machine of their data directory, or whose start waits for it: of all others there is
-- no row. A table of its own, so that a claim reads nothing but those, and locks nobody's workspace. Kept by the
-- triggers below; a worker says besides that it has cleaned up after a start that failed. Room is freed by what
-- certainly ended the workspace and by nothing else, so that a machine never holds more than it was said to.
create table workspace_room (
    workspace_id uuid primary key,                                  -- no key, which would lock its row
    owner_id uuid not null,                                         -- these three as the workspace has them
    organization_id uuid not null,
    host_id uuid,
    taken boolean not null default false,                           -- from the claim of a start until a stop succeeded
    waits bigint,                                                   -- the place of a start that nobody has begun
    initiator_id uuid                                               -- of that start
);
create index workspace_room_taken on workspace_room (owner_id, organization_id) where taken;
create index workspace_room_hosts on workspace_room (host_id) where taken;
create index workspace_room_waits on workspace_room (initiator_id, owner_id, organization_id, host_id, waits)
    where waits is not null;

-- A start that nobody has begun, of a workspace that takes no room yet: it has to wait until there is some.
alter table provisioner_jobs add column for_room boolean not null default false;
create index provisioner_jobs_ready on provisioner_jobs (place) where completed_at is null and not for_room;

-- On whose disk the files of a workspace are; an older release left it out when there was one data directory.
create function home_of(host_id uuid, driver text) returns uuid language sql stable parallel safe as $$
    select coalesce(host_id, case when driver is not null then (select d.id from deployment d) end)
$$;

-- A start that is asked for waits for room; what the build before it took stays taken, and is its own.
create function room_for_start() returns trigger language plpgsql as $$
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
create trigger workspace_builds_room after insert on workspace_builds
    for each row when (new.transition = 'start') execute function room_for_start();

-- A start that is begun takes room, a stop or delete that succeeded frees it.
create function room_of_job() returns trigger language plpgsql as $$
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
create trigger provisioner_jobs_room after update of started_at, completed_at on provisioner_jobs
    for each row
    when (
        new.type = 'workspace_build'
        and ((old.started_at is null) <> (new.started_at is null) or (old.completed_at is null) <> (new.completed_at is null))
    )
    execute function room_of_job();

create function begin_for_room() returns trigger language plpgsql as $$
begin
    new.for_room := false;
    return new;
end
$$;
create trigger provisioner_jobs_begun before update of started_at, completed_at on provisioner_jobs
    for each row when (new.for_room and (new.started_at is not null or new.completed_at is not null))
    execute function begin_for_room();

create function room_of_workspace() returns trigger language plpgsql as $$
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
create trigger workspaces_room after update of deleted, owner_id, organization_id, host_id, driver on workspaces
    for each row
    when (
        (old.deleted, old.owner_id, old.organization_id, old.host_id, old.driver)
            is distinct from (new.deleted, new.owner_id, new.organization_id, new.host_id, new.driver)
    )
    execute function room_of_workspace();

-- What the builds so far say: the newest one that was begun decides what is taken.
insert into workspace_room (workspace_id, owner_id, organization_id, host_id, taken, waits, initiator_id)
select
    w.id, w.owner_id, w.organization_id, home_of(w.host_id, w.driver), coalesce(held.taken, false), n.place,
    case when n.place is not null then n.initiator_id end
from workspaces w
cross join lateral (
    select
        case when b.transition = 'start' and j.started_at is null and j.completed_at is null then j.place end as place,
        j.initiator_id
    from workspace_builds b
    join provisioner_jobs j on j.id = b.job_id
    where b.workspace_id = w.id
    order by b.build_number desc
    limit 1
) n
left join lateral (
    select case b.transition
        when 'start' then j.error is null and (j.completed_at is null or j.canceled_at is null)
        else w.driver is not null and (j.completed_at is null or j.error is not null or j.canceled_at is not null)
    end as taken
    from workspace_builds b
    join provisioner_jobs j on j.id = b.job_id
    where b.workspace_id = w.id and (b.transition <> 'start' or j.started_at is not null)
    order by b.build_number desc
    limit 1
) held on true
where not w.deleted and (held.taken or n.place is not null);
update provisioner_jobs j
set for_room = true
from workspace_room r
where r.waits is not null and not r.taken and j.workspace_id = r.workspace_id and j.place = r.waits;

-- What the reconciler looks for by the clock.
create index workspaces_deleting on workspaces (deleting_at) where deleting_at is not null and not deleted;
create index tasks_gone on tasks (workspace_id) where deleted_at is not null;

-- From when a workspace is deleted that nobody sees any more: its owner is gone; or its task is, and the delete that
-- came with that failed or was canceled, which is tried again after a minute, then two, four and so on up to an hour.
-- Null: never.
create function abandoned_from(
    of_workspace uuid, of_owner uuid, of_transition text, ended_at timestamptz
) returns timestamptz language sql stable parallel safe as $$
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
