-- Builds that are made by force, and how many workspaces an organization or a user may have running at once.

-- Without grace for what runs; a delete gives the record up where its driver cannot be reached.
alter table workspace_builds add column force boolean not null default false;

-- Null: what the settings of the server say.
alter table organizations add column max_running integer check (max_running >= 1);
alter table users add column max_running integer check (max_running >= 1);
create index organizations_limited on organizations (id) where max_running is not null;
create index users_limited on users (id) where max_running is not null;

-- Workspaces that take room: a start has begun and did not fail, or what ends them has not succeeded yet. They keep
-- their place until they are certainly gone, so that a machine never holds more than it was said to.
create view workspaces_with_room as
select w.id as workspace_id, w.owner_id, w.organization_id, w.host_id
from workspaces w
cross join lateral (
    select b.transition, b.job_id from workspace_builds b
    where b.workspace_id = w.id
    order by b.build_number desc
    limit 1
) newest
join provisioner_jobs n on n.id = newest.job_id
where not w.deleted
    and case newest.transition
        when 'start' then n.started_at is not null and n.error is null
            and (n.completed_at is null or n.canceled_at is null)
        else w.driver is not null
            and (n.completed_at is null or n.error is not null or n.canceled_at is not null)
    end;

-- From when a workspace is deleted that nobody sees any more: its owner is gone; or its task is, and the delete that
-- came with that failed, which is tried again after a minute, then two, four and so on up to an hour. Null: never.
create function abandoned_from(
    of_workspace uuid, of_owner uuid, of_transition text, ended_at timestamptz, of_error text
) returns timestamptz language sql stable parallel safe as $$
    select case
        when ended_at is null then null
        when of_transition <> 'delete' then (select ended_at from users u where u.id = of_owner and u.deleted)
        when of_error is not null
            and exists (select 1 from tasks t where t.workspace_id = of_workspace)
            and not exists (select 1 from tasks t where t.workspace_id = of_workspace and t.deleted_at is null)
        then ended_at + interval '1 minute' * least(60, 2 ^ (
            select greatest(0, least(count(*), 10) - 1)
            from workspace_builds d
            join provisioner_jobs e on e.id = d.job_id
            where d.workspace_id = of_workspace and d.transition = 'delete' and e.error is not null
        ))
    end
$$;
