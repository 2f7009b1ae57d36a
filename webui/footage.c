// Footage of a stream. See footage.h.
//
// A segment moves from the cache to a volume while we look: its row is committed before its cache
// name goes. So the cache is listed first and the catalog asked afterwards; what was listed is then
// either still a file, or a row.
#include "webui/footage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/runfile.h"
#include "lib/media/cache.h"
#include "webui/footage_line.h"

struct footage_load {
    struct worker *worker;
    const struct footage_query *query;
    struct footage *footage;
    struct cache_listing listing;
    struct footage_segment *uncommitted; // all of them, in the order of the listing
    size_t uncommitted_count;
    char **cause;
};

static struct footage_segment *footage_add(struct footage *footage)
{
    ARRAY_RESERVE(footage->segments, footage->count, footage->capacity);
    struct footage_segment *segment = &footage->segments[footage->count++];
    *segment = (struct footage_segment){0};
    return segment;
}

static bool footage_has(const struct footage *footage, int64_t run, uint32_t number)
{
    for (size_t i = footage->count; i-- > 0;)
        if (footage->segments[i].run == run && footage->segments[i].number == number)
            return true;
    return false;
}

static bool footage_wanted(const struct footage_query *query, int64_t start_us, int64_t end_us)
{
    return start_us < query->end_us && end_us > query->start_us && start_us > query->after_us;
}

// --- Codecs ---

static struct catalog_codec *footage_codec_new(struct footage *footage)
{
    ARRAY_RESERVE(footage->codecs, footage->codec_count, footage->codec_capacity);
    return &footage->codecs[footage->codec_count];
}

// The codec of a row, asked for once. Returns its 1-based index, or 0 with a status.
static enum catalog_status footage_codec_row(
    struct footage_load *load, int64_t codec_id, uint32_t *index)
{
    struct footage *footage = load->footage;
    for (*index = 1; *index <= footage->codec_count; (*index)++)
        if (footage->codecs[*index - 1].id == codec_id)
            return CATALOG_OK;
    enum catalog_status status =
        catalog_codec_get(load->worker->catalog, codec_id, footage_codec_new(footage), load->cause);
    if (status == CATALOG_OK)
        footage->codec_count++;
    if (status != CATALOG_NONE)
        return status;
    *load->cause = xasprintf("the catalog has lost codec %" PRId64, codec_id);
    return CATALOG_ERROR;
}

// The codec of a file: the same bytes are the same codec, wherever they come from.
static uint32_t footage_codec_entry(
    struct footage *footage, const struct recent_track *track, enum media_kind kind)
{
    for (uint32_t i = 0; i < footage->codec_count; i++) {
        const struct catalog_codec *codec = &footage->codecs[i];
        if (codec->entry_size == track->entry_size &&
            memcmp(codec->entry, track->entry, track->entry_size) == 0)
            return i + 1;
    }
    struct catalog_codec *codec = footage_codec_new(footage);
    *codec = (struct catalog_codec){0};
    char *ignored = NULL;
    if (codec_describe(track->entry, track->entry_size, &codec->info, &ignored) < 0)
        free(ignored); // its name stays empty
    codec->info.kind = kind;
    codec->entry = xmalloc(track->entry_size);
    memcpy(codec->entry, track->entry, track->entry_size);
    codec->entry_size = track->entry_size;
    return (uint32_t)++footage->codec_count;
}

// --- Committed segments ---

static enum catalog_status footage_add_row(struct footage_load *load, struct catalog_segment *row)
{
    struct footage_segment segment = {
        .run = row->run,
        .number = row->number,
        .state = FOOTAGE_SEALED,
        .start_us = row->start_us,
        .end_us = row->end_us,
        .size_bytes = row->size_bytes,
        .media_offset = row->media_offset,
        .media_end = row->media_end,
        .volume_id = row->volume_id,
    };
    const struct catalog_track *tracks[] = {&row->video, &row->audio};
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        if (tracks[kind]->codec_id == 0)
            continue;
        segment.tracks[kind] = tracks[kind]->summary;
        enum catalog_status status =
            footage_codec_row(load, tracks[kind]->codec_id, &segment.codecs[kind]);
        if (status != CATALOG_OK)
            return status;
    }
    segment.key = row->key;
    row->key = NULL;
    *footage_add(load->footage) = segment;
    return CATALOG_OK;
}

static enum catalog_status footage_add_rows(struct footage_load *load)
{
    const struct footage_query *query = load->query;
    struct catalog_segments rows;
    enum catalog_status status =
        catalog_segments_in(load->worker->catalog, load->footage->stream_id, query->start_us,
            query->end_us, query->after_us, query->limit, &rows, load->cause);
    if (status != CATALOG_OK)
        return status;
    for (size_t i = 0; i < rows.count && status == CATALOG_OK; i++)
        status = footage_add_row(load, &rows.rows[i]);
    catalog_segments_fini(&rows);
    return status;
}

// Looks a segment up in the catalog. CATALOG_NONE: it is not committed.
static enum catalog_status footage_find_row(
    struct footage_load *load, int64_t run, uint32_t number, struct catalog_segment *row)
{
    if (load->footage->stream_id == 0)
        return CATALOG_NONE;
    return catalog_segment_find(
        load->worker->catalog, load->footage->stream_id, run, number, row, load->cause);
}

// --- What is still in the cache ---

// Whether the recorder of this run still lives, as its run file says.
static bool footage_run_lives(const struct footage *footage, int64_t run)
{
    char *path = cache_run_path(footage->cache, footage->camera, footage->stream, run);
    struct runfile runfile;
    char *cause = NULL;
    bool lives = false;
    if (runfile_load(&runfile, path, &cause) == 0) {
        lives = runfile.end_us == 0;
        runfile_fini(&runfile);
    }
    free(cause);
    free(path);
    return lives;
}

static void footage_add_recent(struct footage_load *load, const struct cache_file *file,
    const struct recent *recent, const int64_t span_us[2], bool open)
{
    struct footage_segment *segment = &load->uncommitted[load->uncommitted_count++];
    *segment = (struct footage_segment){
        .run = file->id.run,
        .number = file->id.number,
        .state = open ? FOOTAGE_OPEN : FOOTAGE_CLOSED,
        .start_us = span_us[0],
        .end_us = span_us[1],
        .size_bytes = recent->size,
        .media_offset = recent->media_offset,
        .media_end = recent->media_end,
        .recent = recent,
    };
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        segment->tracks[kind] = recent->tracks[kind].summary;
        if (recent->tracks[kind].entry != NULL)
            segment->codecs[kind] = footage_codec_entry(
                load->footage, &recent->tracks[kind], kind == 0 ? MEDIA_VIDEO : MEDIA_AUDIO);
    }
}

// Takes one file of the cache: as the row that it has become, or as what can be read of it.
static enum catalog_status footage_take_file(
    struct footage_load *load, const struct cache_file *file, struct segtime *time, bool newest)
{
    struct catalog_segment row;
    const struct recent *recent;
    char *cause = NULL;
    enum catalog_status status = footage_find_row(load, file->id.run, file->id.number, &row);
    if (status == CATALOG_NONE) {
        enum recent_status read =
            recents_get(load->worker->shared->recents, load->footage->cache, file, &recent, &cause);
        if (read == RECENT_BROKEN) {
            log_debug("%s/%s/%" PRId64 "-%06" PRIu32 ": can not be played yet: %s", file->id.camera,
                file->id.stream, file->id.run, file->id.number, cause);
            free(cause);
            return CATALOG_OK;
        }
        if (read == RECENT_GONE) // since it was listed: by now it has a row, or was thrown away
            status = footage_find_row(load, file->id.run, file->id.number, &row);
    }
    if (status == CATALOG_OK) {
        if (!load->query->uncommitted && footage_wanted(load->query, row.start_us, row.end_us) &&
            !footage_has(load->footage, row.run, row.number))
            status = footage_add_row(load, &row);
        catalog_segment_fini(&row);
        return status;
    }
    if (status != CATALOG_NONE)
        return status;
    const struct conf_stream *conf =
        conf_find(load->worker->conf, file->id.camera, file->id.stream);
    const struct segtime_segment place = {
        .number = file->id.number,
        .media_start_us = recent->media_start_us,
        .media_duration_us = recent->media_duration_us,
        .media_jump_us = recent->media_jump_us,
        .birth_us = file->birth_us,
        .next_birth_us = cache_listing_birth_us(&load->listing, file->id.run, file->id.number + 1),
        .written_us = file->written_us,
        .latency_us = conf ? conf->latency_us : 0,
    };
    int64_t span_us[2];
    if (segtime_place(time, &place, true, &span_us[0], &span_us[1]))
        footage_add_recent(
            load, file, recent, span_us, newest && footage_run_lives(load->footage, file->id.run));
    else
        recent_release(recent);
    return CATALOG_OK;
}

static enum catalog_status footage_take_listing(struct footage_load *load)
{
    struct segtime time = {0};
    const struct cache_listing *listing = &load->listing;
    load->uncommitted = xcalloc(listing->count + 1, sizeof(load->uncommitted[0]));
    for (size_t i = 0; i < listing->count; i++) {
        const struct cache_file *file = &listing->files[i];
        if (i == 0 || file->id.run != listing->files[i - 1].id.run) {
            struct catalog_run run;
            enum catalog_status status = CATALOG_NONE;
            if (load->footage->stream_id != 0)
                status = catalog_run_get(load->worker->catalog, load->footage->stream_id,
                    file->id.run, &run, load->cause);
            if (status != CATALOG_OK && status != CATALOG_NONE)
                return status;
            time = status == CATALOG_OK ? run.time : (struct segtime){0};
        }
        enum catalog_status status = footage_take_file(load, file, &time, i + 1 == listing->count);
        if (status != CATALOG_OK && status != CATALOG_NONE)
            return status;
    }
    return CATALOG_OK;
}

// Whether another segment starts at that moment: the later one of two moves on, as it will when it
// is committed.
static bool footage_starts(const struct footage *footage, int64_t start_us)
{
    for (size_t i = footage->count; i-- > 0;)
        if (footage->segments[i].start_us == start_us)
            return true;
    return false;
}

// Moves the uncommitted segments that are wanted to the others.
static void footage_merge(struct footage_load *load)
{
    for (size_t i = 0; i < load->uncommitted_count; i++) {
        struct footage_segment *segment = &load->uncommitted[i];
        if (!footage_wanted(load->query, segment->start_us, segment->end_us) ||
            footage_has(load->footage, segment->run, segment->number))
            continue;
        while (footage_starts(load->footage, segment->start_us))
            segment->start_us++;
        *footage_add(load->footage) = *segment;
        segment->recent = NULL;
    }
}

// --- All together ---

static int footage_compare(const void *left, const void *right)
{
    const struct footage_segment *a = left, *b = right;
    if (a->start_us != b->start_us)
        return a->start_us < b->start_us ? -1 : 1;
    if (a->run != b->run)
        return a->run < b->run ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void footage_sort(struct footage *footage)
{
    if (footage->count > 1)
        qsort(footage->segments, footage->count, sizeof(footage->segments[0]), footage_compare);
}

// Whether frames of the segment may be shown before its first key frame.
static bool footage_reorders(const struct footage_segment *segment)
{
    return segment->tracks[VFILE_VIDEO].least_composition != 0 ||
           segment->tracks[VFILE_VIDEO].greatest_composition != 0;
}

static enum catalog_status footage_add_predecessor(struct footage_load *load)
{
    struct footage *footage = load->footage;
    if (!load->query->predecessor || footage->count == 0)
        return CATALOG_OK;
    const struct footage_segment *first = footage_line_first(footage, load->query->start_us);
    if (first->number == 0 || !footage_reorders(first) ||
        footage_has(footage, first->run, first->number - 1))
        return CATALOG_OK;
    int64_t run = first->run;
    uint32_t number = first->number - 1;
    for (size_t i = 0; i < load->uncommitted_count; i++) {
        struct footage_segment *segment = &load->uncommitted[i];
        if (segment->run != run || segment->number != number || segment->recent == NULL)
            continue;
        *footage_add(footage) = *segment;
        segment->recent = NULL;
        return CATALOG_OK;
    }
    struct catalog_segment row;
    enum catalog_status status = footage_find_row(load, run, number, &row);
    if (status == CATALOG_OK) {
        status = footage_add_row(load, &row);
        catalog_segment_fini(&row);
    }
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

static enum catalog_status footage_find_stream(struct footage_load *load)
{
    const struct footage_query *query = load->query;
    struct catalog_stream stream;
    enum catalog_status status = worker_open_catalog(load->worker, load->cause);
    if (status == CATALOG_OK)
        status = catalog_stream_find(
            load->worker->catalog, query->camera, query->stream, &stream, load->cause);
    if (status == CATALOG_OK)
        load->footage->stream_id = stream.id;
    else if (status == CATALOG_NONE && conf_find(load->worker->conf, query->camera, query->stream))
        status = CATALOG_OK;
    return status;
}

static enum catalog_status footage_gather(struct footage_load *load)
{
    enum catalog_status status = CATALOG_OK;
    if (load->footage->stream_id != 0 && !load->query->uncommitted) {
        status = footage_add_rows(load);
        if (status == CATALOG_OK)
            status = catalog_volumes(load->worker->catalog, &load->footage->volumes,
                &load->footage->volume_count, load->cause);
    }
    if (status == CATALOG_OK)
        status = footage_take_listing(load);
    if (status != CATALOG_OK)
        return status;
    footage_merge(load);
    footage_sort(load->footage);
    status = footage_add_predecessor(load);
    footage_sort(load->footage);
    return status;
}

static enum catalog_status footage_add_row_of(
    struct footage_load *load, const struct segment_id *id)
{
    struct catalog_segment row;
    enum catalog_status status = footage_find_row(load, id->run, id->number, &row);
    if (status != CATALOG_OK)
        return status;
    status = footage_add_row(load, &row);
    catalog_segment_fini(&row);
    return status == CATALOG_OK ? catalog_volumes(load->worker->catalog, &load->footage->volumes,
                                      &load->footage->volume_count, load->cause)
                                : status;
}

static enum catalog_status footage_gather_one(
    struct footage_load *load, const struct segment_id *id)
{
    enum catalog_status status = footage_add_row_of(load, id);
    if (status == CATALOG_NONE)
        status = footage_take_listing(load);
    if (status != CATALOG_OK || load->footage->count > 0)
        return status;
    for (size_t i = 0; i < load->uncommitted_count; i++) {
        struct footage_segment *segment = &load->uncommitted[i];
        if (segment->run != id->run || segment->number != id->number)
            continue;
        *footage_add(load->footage) = *segment;
        segment->recent = NULL;
        return CATALOG_OK;
    }
    return footage_add_row_of(load, id); // committed meanwhile
}

// Lists the cache and finds the stream, then gathers what `query` wants, or the one segment `id`.
static enum catalog_status footage_load_with(struct worker *worker,
    const struct footage_query *query, const struct segment_id *id, struct footage *footage,
    char **cause)
{
    struct footage_load load = {
        .worker = worker, .query = query, .footage = footage, .cause = cause};
    *footage = (struct footage){.cache = xstrdup(worker->conf->cache)};
    snprintf(footage->camera, sizeof(footage->camera), "%s", query->camera);
    snprintf(footage->stream, sizeof(footage->stream), "%s", query->stream);
    enum catalog_status status = CATALOG_ERROR;
    if (cache_list(footage->cache, query->camera, query->stream, &load.listing, cause) == 0) {
        status = footage_find_stream(&load);
        if (status == CATALOG_OK)
            status = id ? footage_gather_one(&load, id) : footage_gather(&load);
    }
    for (size_t i = 0; i < load.uncommitted_count; i++)
        recent_release(load.uncommitted[i].recent);
    free(load.uncommitted);
    cache_listing_fini(&load.listing);
    if (status != CATALOG_OK)
        footage_fini(footage);
    return worker_check(worker, status);
}

enum catalog_status footage_load(
    struct worker *worker, const struct footage_query *query, struct footage *footage, char **cause)
{
    return footage_load_with(worker, query, NULL, footage, cause);
}

enum catalog_status footage_load_one(
    struct worker *worker, const struct segment_id *id, struct footage *footage, char **cause)
{
    const struct footage_query query = {
        .camera = id->camera, .stream = id->stream, .uncommitted = true};
    return footage_load_with(worker, &query, id, footage, cause);
}

void footage_fini(struct footage *footage)
{
    for (size_t i = 0; i < footage->count; i++) {
        free(footage->segments[i].key);
        recent_release(footage->segments[i].recent);
    }
    for (size_t i = 0; i < footage->codec_count; i++)
        catalog_codec_fini(&footage->codecs[i]);
    for (size_t i = 0; i < footage->volume_count; i++)
        free(footage->volumes[i].path);
    free(footage->segments);
    free(footage->codecs);
    free(footage->volumes);
    free(footage->cache);
    *footage = (struct footage){0};
}

void footage_id(const struct footage *footage, const struct footage_segment *segment,
    char text[SEGMENT_TEXT_SIZE])
{
    struct segment_id id = {.run = segment->run, .number = segment->number};
    memcpy(id.camera, footage->camera, sizeof(id.camera));
    memcpy(id.stream, footage->stream, sizeof(id.stream));
    segment_id_format(&id, text);
}

size_t footage_memory(const struct footage *footage)
{
    size_t bytes = footage->capacity * sizeof(footage->segments[0]);
    for (size_t i = 0; i < footage->count; i++) {
        bytes += footage->segments[i].key ? strlen(footage->segments[i].key) + 1 : 0;
        bytes += footage->segments[i].recent ? footage->segments[i].recent->packed.capacity : 0;
    }
    return bytes;
}
