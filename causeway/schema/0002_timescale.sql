-- Storage of the time-ordered tables on TimescaleDB: hypertables of a day a chunk, the columnstore after a day, rollups as
-- continuous aggregates. Retention is no policy: policies go by the server's clock, and the store's may be another one (a
-- simulated evening would be dropped as it is written). The functions keep the names that the store calls on any server.

create extension if not exists timescaledb schema public;
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

-- Only what has changed is aggregated again, so the window costs nothing; it is as long as a store may be away and catch
-- up. It has to end before raw readings are dropped, or their aggregates would go with them.
select add_continuous_aggregate_policy('reading_minute', start_offset => interval '30 days', end_offset => interval '1 minute', schedule_interval => interval '1 minute');
select add_continuous_aggregate_policy('reading_hour', start_offset => interval '30 days', end_offset => interval '1 hour', schedule_interval => interval '30 minutes');

call add_columnstore_policy('signal_state', after => interval '1 day', if_not_exists => true);
call add_columnstore_policy('traffic', after => interval '1 day', if_not_exists => true);
call add_columnstore_policy('reading', after => interval '1 day', if_not_exists => true);

-- Chunks and rollups are the extension's: nothing left to do.
create function make_partitions(day date) returns integer language sql as $$ select 0 $$;
create function mark_unrolled(minutes timestamptz[]) returns void language sql as $$ $$;
create function roll_up() returns integer language sql as $$ select 0 $$;

-- Drops what is older, as whole chunks. Says how many.
create function drop_older(raw_before timestamptz, minute_before timestamptz) returns integer language sql set lock_timeout = '5s' as $$
    select count(*)::integer from (
        select public.drop_chunks('causeway.reading', raw_before)
        union all select public.drop_chunks('causeway.signal_state', raw_before)
        union all select public.drop_chunks('causeway.traffic', raw_before)
        union all select public.drop_chunks('causeway.reading_minute', minute_before)
    ) dropped;
$$;
