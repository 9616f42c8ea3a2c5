-- The journal projected for questions about the past. Applied once, in one transaction, never edited after it is on main.
-- Time-ordered tables are made here; 0002 gives them their storage: TimescaleDB where the server has it, partitions elsewhere.

create schema if not exists causeway;
set local search_path to causeway;

-- Up to which journal step the store holds everything. One row.
create table position (
    only_row boolean primary key default true check (only_row),
    step bigint not null,
    at_ns bigint not null default 0,
    writer text not null default '',
    site_hash text not null default ''
);
insert into position (step) values (0);

create table point (
    id integer generated always as identity primary key,
    name text not null unique,
    asset text not null,
    quantity text not null,
    unit text not null,
    datum text
);

-- Everything that was decided, commanded, alarmed or said by a person, as it stands in the journal.
create table event (
    step bigint not null,
    index integer not null,
    at timestamptz not null,
    kind text not null,
    target text not null,
    because_step bigint,
    because_index integer,
    body jsonb not null,
    primary key (step, index)
);
create index event_at on event (at);
create index event_target_at on event (target, at);

create table incident (
    incident text primary key,
    kind text not null,
    camera text not null,
    first_seen_at timestamptz not null,
    detected_step bigint not null,
    confidence double precision not null,
    why text not null,
    ended_at timestamptz
);

-- One row an occurrence: from its raising until it is both returned and acknowledged.
create table alarm (
    alarm text not null,
    raised_step bigint not null,
    raised_at timestamptz not null,
    priority smallint not null,
    asset text not null,
    kind text not null,
    text_vi text not null,
    text_en text not null,
    returned_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    primary key (alarm, raised_step)
);
create index alarm_open on alarm (alarm) where returned_at is null or acknowledged_at is null;

create table command (
    step bigint not null,
    index integer not null,
    kind text not null,
    target text not null,
    sequence integer not null,
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    body jsonb not null,
    state text not null default 'commanded',
    state_at timestamptz not null,
    why text not null default '',
    took_ms double precision,
    primary key (step, index)
);
create index command_target on command (target, issued_at);

create table forecast (
    point text not null,
    model text not null,
    issued_at timestamptz not null,
    lead_s integer[] not null,
    value double precision[] not null,
    primary key (point, model, issued_at)
);

create table rejection (
    step bigint not null,
    at timestamptz not null,
    source text not null,
    reason text not null,
    count bigint not null,
    sample text not null,
    primary key (step, source, reason)
);
create index rejection_at on rejection (at);
