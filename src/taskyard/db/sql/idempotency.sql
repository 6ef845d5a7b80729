-- name: insert_key_as_system
-- A key that nobody of this owner has used, and whose request is worked on from now on; nothing when it was used, or
-- the owner has as many as one may. Should Postgres lose the line, then it has lost all that was done after it too.
insert into idempotency_keys (
    id, owner_id, key, operation, fingerprint, request_id, lease_expires_at, created_at, expires_at
)
select :id, :owner_id, :key, :operation, :fingerprint, :request_id, :lease_expires_at, :now, :expires_at
from set_config('synchronous_commit', 'off', true)
where :most::integer is null
    or not exists (select 1 from idempotency_keys k where k.owner_id = :owner_id offset greatest(:most - 1, 0))
on conflict (owner_id, key) do nothing;

-- name: has_keys_as_system
-- Whether an owner has so many keys.
select exists (
    select 1 from idempotency_keys k where k.owner_id = :owner_id offset greatest(:most::integer - 1, 0)
) as held;

-- name: is_key_held_as_system
-- Whether a try works on the request of this row.
select exists (
    select 1 from idempotency_keys k
    where k.owner_id = :owner_id and k.key = :key and k.id = :id and k.finished_at is null
        and k.lease_expires_at > :now
) as held;

-- name: lock_key_as_system
-- What is known of the request of a key, locked until the transaction ends.
select id, operation, fingerprint, lease_expires_at, deeds, deed_action, deed_resource_type, deed_resource_id,
    deed_resource_name, deed_at, finished_at, answer, sealed, expires_at
from idempotency_keys
where owner_id = :owner_id and key = :key
for update;

-- name: reuse_key_as_system
-- A key whose time is over, as if it had never been used.
update idempotency_keys
set operation = :operation, fingerprint = :fingerprint, request_id = :request_id,
    lease_expires_at = :lease_expires_at, deeds = 0, deed_action = null, deed_resource_type = null,
    deed_resource_id = null, deed_resource_name = null, deed_at = null, finished_at = null, answer = null,
    sealed = false, created_at = :now, expires_at = :expires_at
where id = :id;

-- name: take_key_as_system
-- The request is in the hands of this try from now on; what an earlier one still wants to do is refused.
update idempotency_keys
set request_id = :request_id, lease_expires_at = :lease_expires_at
where id = :id;

-- name: renew_key_as_system
-- The try goes on; nothing when another has taken its place.
update idempotency_keys
set lease_expires_at = :lease_expires_at
where id = :id and request_id = :request_id and finished_at is null;

-- name: mark_deed_as_system
-- Something was done for the request, in the transaction that did it; nothing when another try has taken its place.
update idempotency_keys
set deeds = deeds + 1, deed_action = coalesce(deed_action, :action),
    deed_resource_type = coalesce(deed_resource_type, :resource_type),
    deed_resource_id = coalesce(deed_resource_id, :resource_id),
    deed_resource_name = coalesce(deed_resource_name, :resource_name), deed_at = coalesce(deed_at, :now)
where id = :id and request_id = :request_id and finished_at is null;

-- name: finish_key_as_system
-- The request is over, with the answer that is given again from now on, if there is one. Nobody waits until it is on
-- the disk: without it the next try finds out what was done.
update idempotency_keys
set finished_at = :now, answer = :answer, sealed = :sealed
from set_config('synchronous_commit', 'off', true)
where id = :id and request_id = :request_id and finished_at is null;

-- name: release_key_as_system
-- A request for which nothing was done, as if it had never come.
delete from idempotency_keys
where id = :id and request_id = :request_id and deeds = 0 and finished_at is null;

-- name: get_build_made_as_system
-- The build of a task's or a workspace's that was made in one transaction with a deed of that time.
select b.id
from workspace_builds b
where b.created_at = :made_at
    and b.workspace_id = coalesce((select t.workspace_id from tasks t where t.id = :resource_id), :resource_id);
