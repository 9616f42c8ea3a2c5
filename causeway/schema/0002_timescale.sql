-- Storage of the time-ordered tables on TimescaleDB: hypertables of a day a chunk, the columnstore after a day, rollups as
-- continuous aggregates, retention as policies. The functions keep the names that the store calls on any server.

create extension if not exists timescaledb;
set local search_path to causeway, public;

create table reading (
    at timestamptz not null,
    point integer not null,
    value double precision not null,
    quality smallint not null
) with (
    timescaledb.hypertable,
    timescaledb.partition_column = 'at',
    timescaledb.chunk_interval = '1 day',
    timescaledb.segmentby = 'point',
    timescaledb.orderby = 'at'
);
create index reading_point_at on reading (point, at);

create table signal_state (
    at timestamptz not null,
    junction text not null,
    stage text not null,
    interval text not null,
    aspects text not null,
    mode text not null,
    fault text not null
) with (
    timescaledb.hypertable,
    timescaledb.partition_column = 'at',
    timescaledb.chunk_interval = '1 day',
    timescaledb.segmentby = 'junction',
    timescaledb.orderby = 'at'
);
create index signal_state_junction_at on signal_state (junction, at);

create table traffic (
    at timestamptz not null,
    camera text not null,
    occupancy_ratio double precision not null,
    moving_ratio double precision not null,
    speed_px_s double precision not null
) with (
    timescaledb.hypertable,
    timescaledb.partition_column = 'at',
    timescaledb.chunk_interval = '1 day',
    timescaledb.segmentby = 'camera',
    timescaledb.orderby = 'at'
);
create index traffic_camera_at on traffic (camera, at);

create materialized view reading_minute with (timescaledb.continuous, timescaledb.materialized_only = false) as
select time_bucket('1 minute', at) as bucket, point, count(*) as count, min(value) as min, max(value) as max, avg(value) as mean
from reading
where quality < 2
group by 1, 2
with no data;

create materialized view reading_hour with (timescaledb.continuous, timescaledb.materialized_only = false) as
select time_bucket('1 hour', at) as bucket, point, count(*) as count, min(value) as min, max(value) as max, avg(value) as mean
from reading
where quality < 2
group by 1, 2
with no data;

select add_continuous_aggregate_policy('reading_minute', start_offset => interval '2 hours', end_offset => interval '1 minute', schedule_interval => interval '1 minute');
select add_continuous_aggregate_policy('reading_hour', start_offset => interval '1 day', end_offset => interval '1 hour', schedule_interval => interval '30 minutes');

call add_columnstore_policy('signal_state', after => interval '1 day', if_not_exists => true);
call add_columnstore_policy('traffic', after => interval '1 day', if_not_exists => true);
call add_columnstore_policy('reading', after => interval '1 day', if_not_exists => true);

select add_retention_policy('reading', interval '90 days');
select add_retention_policy('signal_state', interval '90 days');
select add_retention_policy('traffic', interval '90 days');
select add_retention_policy('reading_minute', interval '5 years');

-- Chunks, rollups and retention are the extension's; what the store calls on any server has nothing left to do here.
create function make_partitions(day date) returns integer language sql as $$ select 0 $$;
create function roll_up(since timestamptz) returns void language sql as $$ $$;
create function drop_older(raw_before timestamptz, minute_before timestamptz) returns integer language sql as $$ select 0 $$;
