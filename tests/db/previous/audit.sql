-- name: insert_audit_log
-- Keeps that somebody did something.
insert into audit_logs (
    id, at, user_id, username, action, resource_type, resource_id, resource_name, organization_id, succeeded,
    changes, request_id, ip, user_agent
) values (
    :id, :at, :user_id, :username, :action, :resource_type, :resource_id, :resource_name, :organization_id,
    :succeeded, :changes, :request_id, :ip, :user_agent
);
