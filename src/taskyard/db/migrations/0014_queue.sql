-- A claim looks at one job of each who asked for some, not at all that wait.

create index provisioner_jobs_askers on provisioner_jobs (initiator_id, place) where completed_at is null and not for_room;
create index provisioner_jobs_held on provisioner_jobs (initiator_id) where completed_at is null and worker_id is not null;
create index provisioner_jobs_earlier on provisioner_jobs (workspace_id, place)
    where completed_at is null and workspace_id is not null;
create index workspace_room_askers on workspace_room (initiator_id, owner_id, organization_id, waits, host_id)
    where waits is not null;
create index workspace_room_organizations on workspace_room (organization_id, owner_id) where taken;
