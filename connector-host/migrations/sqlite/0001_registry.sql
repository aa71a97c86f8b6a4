-- What each table is for: src/registry/sqlite/mod.rs. Times are milliseconds since 1970 UTC, documents JSON
-- text. STRICT knows integers of 64 bits under one name only.

create table connector_definitions (
    connector text not null,
    version text not null,
    manifest text not null,
    config_schema text not null,
    registered_at integer not null,
    primary key (connector, version)
) strict;

create table tenant_connections (
    tenant text not null,
    connection text not null,
    connector text not null,
    config text not null,
    updated_at integer not null,
    primary key (tenant, connection)
) strict;

-- Apart from `streams`: it is renewed every few seconds, and a stream's own state may be large.
create table leases (
    tenant text not null,
    connection text not null,
    stream text not null,
    fence integer not null,
    owner_id text,
    owner text,
    expires_at integer,
    primary key (tenant, connection, stream),
    check ((owner_id is null) = (owner is null) and (owner is null) = (expires_at is null))
) strict, without rowid;

create table streams (
    tenant text not null,
    connection text not null,
    stream text not null,
    epoch integer not null,
    generation integer not null,
    updated_at integer,
    state text,
    primary key (tenant, connection, stream)
) strict;

create table connector_run_state (
    tenant text not null,
    connection text not null,
    stream text not null,
    partition text not null,
    epoch integer not null,
    generation integer not null,
    sequence integer not null,
    updated_at integer not null,
    state text,
    primary key (tenant, connection, stream, partition),
    foreign key (tenant, connection, stream) references streams (tenant, connection, stream)
) strict;

create table stream_registry (
    tenant text not null,
    connection text not null,
    stream text not null,
    version integer not null,
    fingerprint text not null,
    spec text not null,
    seen_at integer not null,
    primary key (tenant, connection, stream, version)
) strict;

create table connector_runs (
    tenant text not null,
    connection text not null,
    run text not null,
    status text not null,
    started_at integer not null,
    finished_at integer,
    document text not null,
    primary key (tenant, connection, run)
) strict;

create index connector_runs_by_time on connector_runs (tenant, connection, started_at desc, run desc);

create table compat_alerts (
    tenant text not null,
    connection text not null,
    stream text not null,
    run text not null,
    field text not null,
    change text not null,
    policy text not null,
    detail text not null,
    raised_at integer not null,
    primary key (tenant, connection, stream, run, field, change)
) strict;

create index compat_alerts_by_time on compat_alerts (tenant, connection, raised_at desc);

create table receipts (
    tenant text not null,
    run text not null,
    receipt text not null,
    primary key (tenant, run)
) strict;

create table actions (
    tenant text not null,
    connection text not null,
    key text not null,
    name text not null,
    input_hash text not null,
    status text not null,
    answer text,
    started_at integer not null,
    finished_at integer,
    primary key (tenant, connection, key)
) strict;

create table tokens (
    tenant text not null,
    connection text not null,
    name text not null,
    sealed blob not null,
    updated_at integer not null,
    primary key (tenant, connection, name)
) strict;

pragma application_id = 1668182631; -- "cnrg"
pragma user_version = 1;
