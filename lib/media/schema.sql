-- The catalog's first version: catalog.db. Later versions are steps in catalog_schema.c.
-- Times are UTC microseconds, runs are epoch milliseconds.

CREATE TABLE stream (
    id     INTEGER PRIMARY KEY,
    camera TEXT NOT NULL,
    stream TEXT NOT NULL,
    UNIQUE (camera, stream)
) STRICT;

CREATE TABLE volume (
    id   INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL
) STRICT;

-- A sample entry box, stored once however many segments use it.
CREATE TABLE codec (
    id          INTEGER PRIMARY KEY,
    kind        INTEGER NOT NULL,
    family      TEXT NOT NULL,
    name        TEXT NOT NULL, -- RFC 6381
    width       INTEGER NOT NULL,
    height      INTEGER NOT NULL,
    channels    INTEGER NOT NULL,
    sample_rate INTEGER NOT NULL,
    entry       BLOB NOT NULL UNIQUE
) STRICT;

-- One life of a recorder, those that never delivered a frame too, where its media clock stands in
-- UTC after its last committed segment (segtime.h), and from when to when there is footage of it.
CREATE TABLE run (
    stream_id        INTEGER NOT NULL REFERENCES stream (id),
    run              INTEGER NOT NULL,
    start_us         INTEGER NOT NULL,
    end_us           INTEGER,         -- NULL while it lives
    reason           TEXT NOT NULL,   -- why it ended
    detail           TEXT NOT NULL,   -- the recorder's last words
    anchor_us        INTEGER,         -- UTC at media time zero
    observations     INTEGER NOT NULL,
    late             INTEGER NOT NULL,
    late_us          INTEGER NOT NULL,
    last_start_us    INTEGER,         -- UTC where the last placed segment begins
    next_start_us    INTEGER,         -- and where it ends
    next_media_us    INTEGER,         -- media time of that moment
    jump_us          INTEGER NOT NULL,
    next_step        INTEGER,         -- what its successor's arrival was, NULL when not seen
    step_us          INTEGER NOT NULL,
    mend             TEXT NOT NULL,   -- of its first seconds' times (mend.h), mostly empty
    footage_start_us INTEGER,         -- NULL where no segment of it was ever committed; stays when
    footage_end_us   INTEGER,         -- its footage goes; end_us is never before it
    PRIMARY KEY (stream_id, run)
) STRICT, WITHOUT ROWID;

-- Where a run's place in UTC has moved, since a clock was set or has jumped. What stands before stays
-- where it is.
CREATE TABLE epoch (
    stream_id    INTEGER NOT NULL REFERENCES stream (id),
    run          INTEGER NOT NULL,
    first_number INTEGER NOT NULL, -- its first segment
    start_us     INTEGER NOT NULL,
    cause        TEXT NOT NULL,    -- clock_step, camera_jump, delay
    moved_us     INTEGER NOT NULL, -- by how much UTC stands later than it would have
    PRIMARY KEY (stream_id, run, first_number)
) STRICT, WITHOUT ROWID;

CREATE INDEX epoch_time ON epoch (stream_id, start_us);

CREATE INDEX run_with_footage ON run (stream_id, run) WHERE footage_start_us IS NOT NULL;

-- What segments of a run that are numbered close together have in common: the numbers from
-- first_number, a multiple of 64, to first_number + 63. Where they differ in it there are several
-- for the same numbers. Segments are found by identity over this, without an index of their own.
CREATE TABLE stretch (
    id              INTEGER PRIMARY KEY,
    stream_id       INTEGER NOT NULL REFERENCES stream (id),
    run             INTEGER NOT NULL,
    first_number    INTEGER NOT NULL,
    present         INTEGER NOT NULL, -- bit i: the segment numbered first_number + i is there
    first_us        INTEGER NOT NULL, -- none of them starts before this,
    last_us         INTEGER NOT NULL, -- or after this
    volume_id       INTEGER NOT NULL REFERENCES volume (id),
    media_offset    INTEGER NOT NULL,
    utc_offset_s    INTEGER NOT NULL, -- of the file's name
    video_codec_id  INTEGER NOT NULL, -- 0: no such track
    video_timescale INTEGER NOT NULL,
    audio_codec_id  INTEGER NOT NULL,
    audio_timescale INTEGER NOT NULL
) STRICT;

CREATE INDEX stretch_identity ON stretch (stream_id, run, first_number);

-- One committed segment. With its stretch it has everything that the exact size of a file made of it
-- needs; its samples are in frames-DAY.db.
CREATE TABLE segment (
    stream_id   INTEGER NOT NULL REFERENCES stream (id),
    start_us    INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    stretch_id  INTEGER NOT NULL REFERENCES stretch (id),
    nth         INTEGER NOT NULL, -- its number less the stretch's first
    size_bytes  INTEGER NOT NULL, -- of the file
    packed      BLOB NOT NULL,    -- its tracks: catalog_tracks.c
    PRIMARY KEY (stream_id, start_us)
) STRICT, WITHOUT ROWID;

-- The keys of segments whose file could not get the name that is computed.
CREATE TABLE segment_key (
    stream_id INTEGER NOT NULL,
    start_us  INTEGER NOT NULL,
    key       TEXT NOT NULL,
    PRIMARY KEY (stream_id, start_us)
) STRICT, WITHOUT ROWID;

-- The segments for people and other programs to read.
CREATE VIEW footage AS
    SELECT camera, stream.stream AS stream, run, first_number + nth AS number, start_us,
        start_us + duration_us AS end_us, size_bytes, path AS volume, segment.stream_id, volume_id
    FROM segment
    JOIN stretch ON stretch.id = stretch_id
    JOIN stream ON stream.id = segment.stream_id
    LEFT JOIN volume ON volume.id = volume_id;

-- Sums over a stream's segments, kept in each segment's own transaction.
CREATE TABLE stream_total (
    stream_id  INTEGER PRIMARY KEY REFERENCES stream (id),
    segments   INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    first_us   INTEGER, -- NULL without footage
    last_us    INTEGER,
    longest_us INTEGER NOT NULL -- no segment ever lasted longer: bounds every search by time
) STRICT;

-- The same by volume.
CREATE TABLE volume_total (
    stream_id INTEGER NOT NULL REFERENCES stream (id),
    volume_id INTEGER NOT NULL REFERENCES volume (id),
    segments  INTEGER NOT NULL, -- a row without any is removed
    bytes     INTEGER NOT NULL,
    first_us  INTEGER NOT NULL,
    PRIMARY KEY (stream_id, volume_id)
) STRICT, WITHOUT ROWID;

-- What there is of each hour. A moment that several segments cover counts once; bytes are shared
-- out by time.
CREATE TABLE rollup (
    stream_id  INTEGER NOT NULL REFERENCES stream (id),
    hour       INTEGER NOT NULL, -- since the epoch
    covered_us INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (stream_id, hour)
) STRICT, WITHOUT ROWID;

-- Why there is no footage: from the end of a run's footage to the start of the next one's. `run` is
-- the one that ended (or the first that was tried). Runs that were tried meanwhile in vain are
-- counted.
CREATE TABLE outage (
    stream_id   INTEGER NOT NULL REFERENCES stream (id),
    run         INTEGER NOT NULL,
    start_us    INTEGER NOT NULL,
    end_us      INTEGER,       -- NULL while it goes on
    reason      TEXT NOT NULL, -- of the run's end
    detail      TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    last_reason TEXT NOT NULL, -- of the last attempt, empty without any
    last_detail TEXT NOT NULL,
    PRIMARY KEY (stream_id, run)
) STRICT, WITHOUT ROWID;

CREATE INDEX outage_time ON outage (stream_id, start_us);

-- What happened, as told by others. Cameras are named: an event may come before any footage.
CREATE TABLE event (
    id            BLOB PRIMARY KEY, -- 16 bytes, a UUID
    camera        TEXT NOT NULL,
    stream        TEXT,             -- NULL: all of the camera's
    start_us      INTEGER NOT NULL,
    end_us        INTEGER,          -- NULL while it goes on
    posted_end_us INTEGER,          -- as it came first
    label         TEXT NOT NULL,
    data          TEXT              -- JSON
) STRICT;

CREATE INDEX event_time ON event (start_us, id);
CREATE INDEX event_camera_time ON event (camera, start_us, id);
CREATE INDEX event_length ON event (end_us - start_us);
CREATE INDEX event_camera_length ON event (camera, end_us - start_us);
CREATE INDEX event_open ON event (start_us, id) WHERE end_us IS NULL;

-- Footage that no rule may delete.
CREATE TABLE lock (
    id         BLOB PRIMARY KEY, -- 16 bytes, a UUID
    camera     TEXT NOT NULL,
    stream     TEXT,             -- NULL: all of the camera's
    start_us   INTEGER NOT NULL,
    end_us     INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    expires_us INTEGER,          -- NULL: when it is taken away
    posted_expires_us INTEGER    -- as it came first
) STRICT;

-- Segments whose file has gone from its volume without our doing. Adding the segment again removes
-- its row here.
CREATE TABLE missing (
    stream_id INTEGER NOT NULL REFERENCES stream (id),
    run       INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    start_us  INTEGER NOT NULL,
    end_us    INTEGER NOT NULL,
    volume_id INTEGER NOT NULL REFERENCES volume (id),
    key       TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    found_us  INTEGER NOT NULL, -- when that was noticed
    PRIMARY KEY (stream_id, run, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX missing_time ON missing (stream_id, start_us);

-- Numbers that the indexer keeps for itself, by name.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Files that no row points at any more and that are still to be unlinked.
CREATE TABLE garbage (
    id        INTEGER PRIMARY KEY,
    volume_id INTEGER NOT NULL REFERENCES volume (id),
    key       TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    reason    TEXT NOT NULL
) STRICT;
