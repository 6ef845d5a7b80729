-- name: claim_deployment_as_system
-- Makes the database that of one data directory; nothing where it is somebody's already.
insert into deployment (id, claimed_at) values (:id, :now) on conflict do nothing;

-- name: get_deployment_as_system
-- Whose database it is.
select id from deployment;
