// What a segment has in common with those numbered close to it: kept once for up to 64 of them.
// Segments are clustered by time; by identity they are found over their stretch, which knows
// between which starts they lie and which numbers there are.
#include "lib/media/catalog_impl.h"

#include <sqlite3.h>

static int64_t stretch_first(uint32_t number)
{
    return number / CATALOG_STRETCH_NUMBERS * CATALOG_STRETCH_NUMBERS;
}

static int64_t stretch_nth(uint32_t number)
{
    return number % CATALOG_STRETCH_NUMBERS;
}

static int64_t stretch_bit(uint32_t number)
{
    return (int64_t)(UINT64_C(1) << stretch_nth(number));
}

enum catalog_status catalog_stretch_has(
    struct catalog *catalog, int64_t stream_id, int64_t run, uint32_t number, char **cause)
{
    int64_t found;
    return catalog_db_integer(&catalog->db, &found, cause,
        "SELECT 1 FROM stretch WHERE stream_id = ? AND run = ? AND first_number = ?"
        " AND present & ?",
        "iiii", stream_id, run, stretch_first(number), stretch_bit(number));
}

enum catalog_status catalog_stretch_add(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t *id, char **cause)
{
    int64_t first = stretch_first(segment->number), bit = stretch_bit(segment->number),
            offset = (int64_t)segment->media_offset,
            video_timescale = segment->video.summary.timescale,
            audio_timescale = segment->audio.summary.timescale;
    enum catalog_status status = catalog_db_integer(&catalog->db, id, cause,
        "UPDATE stretch SET present = present | ?4, first_us = min(first_us, ?5),"
        " last_us = max(last_us, ?5) WHERE stream_id = ?1 AND run = ?2 AND first_number = ?3"
        " AND volume_id = ?6 AND media_offset = ?7 AND utc_offset_s = ?8 AND video_codec_id = ?9"
        " AND video_timescale = ?10 AND audio_codec_id = ?11 AND audio_timescale = ?12"
        " RETURNING id",
        "iiiiiiiiiiii", segment->stream_id, segment->run, first, bit, segment->start_us,
        segment->volume_id, offset, (int64_t)segment->utc_offset_s, segment->video.codec_id,
        video_timescale, segment->audio.codec_id, audio_timescale);
    if (status != CATALOG_NONE)
        return status;
    status = catalog_db_run(&catalog->db, cause,
        "INSERT INTO stretch (stream_id, run, first_number, present, first_us, last_us, volume_id,"
        " media_offset, utc_offset_s, video_codec_id, video_timescale, audio_codec_id,"
        " audio_timescale) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        "iiiiiiiiiiii", segment->stream_id, segment->run, first, bit, segment->start_us,
        segment->volume_id, offset, (int64_t)segment->utc_offset_s, segment->video.codec_id,
        video_timescale, segment->audio.codec_id, audio_timescale);
    *id = catalog_db_inserted(&catalog->db);
    return status;
}

enum catalog_status catalog_stretch_remove(
    struct catalog *catalog, int64_t id, uint32_t number, char **cause)
{
    int64_t left;
    enum catalog_status status = catalog_db_integer(&catalog->db, &left, cause,
        "UPDATE stretch SET present = present & ~?2 WHERE id = ?1 RETURNING present", "ii", id,
        stretch_bit(number));
    if (status == CATALOG_OK && left == 0)
        return catalog_db_run(&catalog->db, cause, "DELETE FROM stretch WHERE id = ?", "i", id);
    return status == CATALOG_NONE ? CATALOG_OK : status;
}
