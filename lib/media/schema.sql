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

-- One life of a recorder, those that never delivered a frame too, and where its media clock stands
-- in UTC after its last committed segment.
CREATE TABLE run (
    stream_id     INTEGER NOT NULL REFERENCES stream (id),
    run           INTEGER NOT NULL,
    start_us      INTEGER NOT NULL,
    end_us        INTEGER,         -- NULL while it lives
    reason        TEXT NOT NULL,   -- why it ended
    detail        TEXT NOT NULL,   -- the recorder's last words
    anchor_us     INTEGER,         -- UTC at media time zero
    next_start_us INTEGER,         -- UTC where the last placed segment ends
    next_media_us INTEGER,         -- media time of that moment
    PRIMARY KEY (stream_id, run)
) STRICT, WITHOUT ROWID;

-- One committed segment. Everything that the exact size of a file made of it needs is here, its
-- samples are in frames-DAY.db.
CREATE TABLE segment (
    stream_id    INTEGER NOT NULL REFERENCES stream (id),
    start_us     INTEGER NOT NULL,
    end_us       INTEGER NOT NULL,
    run          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    volume_id    INTEGER NOT NULL REFERENCES volume (id),
    size_bytes   INTEGER NOT NULL,
    media_offset INTEGER NOT NULL,
    media_end    INTEGER NOT NULL,
    utc_offset_s INTEGER NOT NULL,
    key          TEXT, -- NULL where the computed name is right

    video_codec_id             INTEGER REFERENCES codec (id),
    video_timescale            INTEGER,
    video_start                INTEGER,
    video_first_presentation   INTEGER,
    video_least_composition    INTEGER,
    video_greatest_composition INTEGER,
    video_last_duration        INTEGER,
    video_samples              INTEGER,
    video_syncs                INTEGER,
    video_chunks               INTEGER,
    video_stts_entries         INTEGER,
    video_ctts_entries         INTEGER,
    video_stsc_entries         INTEGER,
    video_bytes                INTEGER,
    video_duration             INTEGER,

    audio_codec_id             INTEGER REFERENCES codec (id),
    audio_timescale            INTEGER,
    audio_start                INTEGER,
    audio_first_presentation   INTEGER,
    audio_least_composition    INTEGER,
    audio_greatest_composition INTEGER,
    audio_last_duration        INTEGER,
    audio_samples              INTEGER,
    audio_syncs                INTEGER,
    audio_chunks               INTEGER,
    audio_stts_entries         INTEGER,
    audio_ctts_entries         INTEGER,
    audio_stsc_entries         INTEGER,
    audio_bytes                INTEGER,
    audio_duration             INTEGER,

    PRIMARY KEY (stream_id, start_us)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX segment_identity ON segment (stream_id, run, number);

-- Sums over a stream's segments, kept in each segment's own transaction.
CREATE TABLE stream_total (
    stream_id  INTEGER PRIMARY KEY REFERENCES stream (id),
    segments   INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    first_us   INTEGER, -- NULL without footage
    last_us    INTEGER,
    longest_us INTEGER NOT NULL -- no segment ever lasted longer: bounds every search by time
) STRICT;

CREATE TABLE rollup (
    stream_id  INTEGER NOT NULL REFERENCES stream (id),
    hour       INTEGER NOT NULL, -- since the epoch
    covered_us INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    PRIMARY KEY (stream_id, hour)
) STRICT, WITHOUT ROWID;

-- Files that no row points at any more and that are still to be unlinked.
CREATE TABLE garbage (
    id        INTEGER PRIMARY KEY,
    volume_id INTEGER NOT NULL REFERENCES volume (id),
    key       TEXT NOT NULL,
    bytes     INTEGER NOT NULL,
    reason    TEXT NOT NULL
) STRICT;
