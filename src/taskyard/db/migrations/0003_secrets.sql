-- Values that workspaces get as environment, sealed: this database has no key to them.

-- The key that this installation's secrets are sealed by, so that no server works with another one unnoticed.
create table secret_key (
    only_row boolean primary key default true check (only_row),
    key_id text not null,
    claimed_at timestamptz not null
);

-- A secret is of exactly one owner. What is sealed holds owner and name too, so that rows cannot change places.
create table secrets (
    id uuid primary key,
    organization_id uuid references organizations (id) on delete cascade,
    template_id uuid references templates (id) on delete cascade,
    user_id uuid references users (id) on delete cascade,
    name text not null check (name ~ '^[A-Za-z_][A-Za-z0-9_]*$' and length(name) <= 128),
    scheme smallint not null,                                       -- how it is sealed; 1: AES-256-GCM
    key_id text not null,                                           -- by which key
    nonce bytea not null check (length(nonce) = 12),                -- never used twice with one key
    sealed bytea not null check (length(sealed) between 17 and 65552),  -- the value and 16 bytes that prove it whole
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check (num_nonnulls(organization_id, template_id, user_id) = 1)
);
create unique index secrets_name on secrets (coalesce(organization_id, template_id, user_id), name);

-- The list of what can be done something to grows; rows of before satisfy the longer one.
alter table audit_logs drop constraint audit_logs_resource_type_check;
alter table audit_logs add constraint audit_logs_resource_type_check check (
    resource_type in (
        'api_key', 'file', 'git_ssh_key', 'organization', 'organization_member', 'secret', 'task', 'template',
        'template_version', 'user', 'workspace', 'workspace_build'
    )
) not valid;
