-- name: get_asker_as_system
-- Who an API key lets in.
select
    key_id, secret_hash, login_type, lifetime_s, last_used_at, expires_at, user_id, username, status, roles,
    member_of, admin_of
from askers
where key_id = :key_id;

-- name: use_api_key_as_system
-- The key was used, and its user seen, who is active again if dormant; the session is prolonged when an expiry is
-- given. Nothing when another request has written so since, unless the user is dormant.
with used as (
    update api_keys k
    set last_used_at = :now, expires_at = coalesce(:expires_at, k.expires_at), updated_at = :now
    from users u
    where k.id = :key_id and u.id = k.user_id and (k.last_used_at < :before or u.status = 'dormant')
    returning k.user_id
)
update users
set last_seen_at = :now, status = case when status = 'dormant' then 'active' else status end
where id in (select user_id from used);
