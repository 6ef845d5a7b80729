-- name: insert_audit_log
-- Keeps that somebody did something.
insert into audit_logs (
    id, at, user_id, username, action, resource_type, resource_id, resource_name, organization_id, succeeded,
    changes, request_id, ip, user_agent, key_id
) values (
    :id, :at, :user_id, :username, :action, :resource_type, :resource_id, :resource_name, :organization_id,
    :succeeded, :changes, :request_id, :ip, :user_agent, :key_id
);

-- name: list_audit_logs
-- What was done that the viewer may read of, newest first, narrowed, behind one of them: all, or what was done to
-- things of the organizations that they run.
select
    l.id, l.at, l.user_id, l.username, l.action, l.resource_type, l.resource_id, l.resource_name, l.organization_id,
    l.succeeded, l.changes, l.request_id, l.ip, l.user_agent, l.key_id
from audit_logs l
where (:viewer_all or l.organization_id = any(:viewer_orgs))
    and (:user_id::uuid is null or l.user_id = :user_id)
    and (:username::text is null or lower(l.username) = :username)
    and (:action::text is null or l.action = :action)
    and (:resource_type::text is null or l.resource_type = :resource_type)
    and (
        :resource::text is null or lower(l.resource_id) = :resource
        or position(:resource in lower(l.resource_name)) > 0
    )
    and (:organization_id::uuid is null or l.organization_id = :organization_id)
    and (:since::timestamptz is null or l.at >= :since)
    and (:until::timestamptz is null or l.at < :until)
    and (:request_id::text is null or l.request_id = :request_id)
    and (:ip::text is null or lower(l.ip) = :ip)
    and (:succeeded::boolean is null or l.succeeded = :succeeded)
    and (:after_at::timestamptz is null or (l.at, l.id) < (:after_at, :after_id))
order by l.at desc, l.id desc
offset :offset
limit :limit;

-- name: count_audit_logs
-- How many of them there are, up to a number that is counted to.
select count(*) as rows
from (
    select 1
    from audit_logs l
    where (:viewer_all or l.organization_id = any(:viewer_orgs))
        and (:user_id::uuid is null or l.user_id = :user_id)
        and (:username::text is null or lower(l.username) = :username)
        and (:action::text is null or l.action = :action)
        and (:resource_type::text is null or l.resource_type = :resource_type)
        and (
            :resource::text is null or lower(l.resource_id) = :resource
            or position(:resource in lower(l.resource_name)) > 0
        )
        and (:organization_id::uuid is null or l.organization_id = :organization_id)
        and (:since::timestamptz is null or l.at >= :since)
        and (:until::timestamptz is null or l.at < :until)
        and (:request_id::text is null or l.request_id = :request_id)
        and (:ip::text is null or lower(l.ip) = :ip)
        and (:succeeded::boolean is null or l.succeeded = :succeeded)
    limit :most
) found;

-- name: get_audit_log
-- When something was done that the viewer may read of.
select l.id, l.at
from audit_logs l
where l.id = :log_id and (:viewer_all or l.organization_id = any(:viewer_orgs));
