// Volumes held against the catalog. See survey.h.
#include "indexer/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/archive.h"
#include "indexer/volume.h"
#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_storage.h"

// A local day in UTC begins and ends so far from the UTC day of its name, at most, and a segment
// may reach across.
#define SURVEY_DAY_MARGIN_US (INT64_C(15) * 3600 * US_PER_SECOND)

// Between the clocks of the machine and of a volume's server.
#define SURVEY_CLOCK_US (5 * US_PER_SECOND)

struct survey_stream {
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t id; // 0: the catalog does not know it
    int64_t first_us;
    int64_t last_us;
};

struct survey_walk {
    struct survey *survey;
    struct catalog *catalog;
    size_t volume;  // index, the one in hand
    char **garbage; // keys of it that are still to be unlinked, ascending
    size_t garbage_count;
    struct survey_stream *streams;
    size_t stream_count;
    size_t stream_capacity;
};

static int survey_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static size_t survey_find(char *const *names, size_t count, const char *name)
{
    char **found = count > 0 ? bsearch(&name, names, count, sizeof(*names), survey_compare) : NULL;
    return found ? (size_t)(found - (char **)names) : SIZE_MAX;
}

static int survey_fail(struct survey *survey, enum catalog_status status, char *cause)
{
    if (status == CATALOG_OK)
        return 0;
    survey->cause = cause ? cause : xstrdup("the catalog is locked");
    return -1;
}

static int survey_root(const struct survey_walk *walk)
{
    return walk->survey->volumes[walk->volume].root;
}

// --- One day of one stream ---

static void survey_add_row(struct survey_walk *walk, const struct catalog_segment *row)
{
    struct survey *survey = walk->survey;
    struct stat info;
    // It may have been filed after the directory was read.
    if (fstatat(survey_root(walk), row->key, &info, AT_SYMLINK_NOFOLLOW) == 0 ||
        (errno != ENOENT && errno != ENOTDIR))
        return;
    ARRAY_RESERVE(survey->rows, survey->row_count, survey->row_capacity);
    survey->rows[survey->row_count++] =
        (struct survey_row){walk->volume, row->stream_id, row->run, row->number};
    survey->volumes[walk->volume].missing++;
}

static void survey_add_file(struct survey_walk *walk, const char *directory, const char *name)
{
    struct survey *survey = walk->survey;
    char *key = xasprintf("%s/%s", directory, name);
    survey->more |= survey->file_count == SURVEY_FILES_MAX;
    if (survey->file_count == SURVEY_FILES_MAX ||
        survey_find(walk->garbage, walk->garbage_count, key) != SIZE_MAX) {
        free(key);
        return;
    }
    ARRAY_RESERVE(survey->files, survey->file_count, survey->file_capacity);
    survey->files[survey->file_count++] = (struct survey_file){walk->volume, key};
}

// Marks the files of the directory that have a row, and notes the rows that have no file.
static int survey_match(struct survey_walk *walk, const struct survey_stream *stream,
    const char *day, const char *directory, const struct archive_names *files, bool *has_row)
{
    int64_t day_us, volume_id = walk->survey->volumes[walk->volume].volume.id;
    char *cause = NULL, *midnight = xasprintf("%sT00:00:00Z", day);
    size_t length = strlen(directory);
    struct catalog_segments rows = {0};
    enum catalog_status status = CATALOG_OK;
    if (stream->id != 0 && time_parse(midnight, &day_us))
        status = catalog_segments_in(walk->catalog, stream->id, day_us - SURVEY_DAY_MARGIN_US,
            day_us + US_PER_DAY + SURVEY_DAY_MARGIN_US, INT64_MIN, 0, &rows, &cause);
    free(midnight);
    if (survey_fail(walk->survey, status, cause) < 0)
        return -1;
    for (size_t i = 0; i < rows.count; i++) {
        const struct catalog_segment *row = &rows.rows[i];
        if (row->volume_id != volume_id || strncmp(row->key, directory, length) != 0 ||
            row->key[length] != '/')
            continue;
        size_t found = survey_find(files->names, files->count, row->key + length + 1);
        if (found != SIZE_MAX)
            has_row[found] = true;
        else
            survey_add_row(walk, row);
    }
    catalog_segments_fini(&rows);
    return 0;
}

static int survey_day(struct survey_walk *walk, const struct survey_stream *stream, const char *day)
{
    struct survey *survey = walk->survey;
    struct archive_names files;
    char *cause = NULL;
    if (atomic_load(survey->stop)) {
        survey->cause = xstrdup("it was stopped");
        return -1;
    }
    char *directory = xasprintf("%s/%s/%s", stream->camera, stream->stream, day);
    int result = 0;
    if (archive_list_files(survey_root(walk), directory, &files, &survey->unknown, &cause) < 0) {
        // Passed over: what is in it can not be told, so nothing is missing.
        free(survey->volumes[walk->volume].trouble);
        survey->volumes[walk->volume].trouble = cause;
    } else {
        bool *has_row = xcalloc(files.count + 1, sizeof(*has_row));
        result = survey_match(walk, stream, day, directory, &files, has_row);
        for (size_t i = 0; i < files.count && result == 0; i++) {
            if (!has_row[i])
                survey_add_file(walk, directory, files.names[i]);
        }
        free(has_row);
        survey->days++;
    }
    archive_names_fini(&files);
    free(directory);
    return result;
}

// --- One stream ---

// Whether the directory was written since; one that is not there was.
static bool survey_written(const struct survey_walk *walk, const char *path)
{
    struct stat info;
    if (walk->survey->since_us == 0 ||
        fstatat(survey_root(walk), *path ? path : ".", &info, AT_SYMLINK_NOFOLLOW) < 0)
        return true;
    int64_t written_us = info.st_mtim.tv_sec * US_PER_SECOND + info.st_mtim.tv_nsec / 1000;
    return written_us >= walk->survey->since_us - SURVEY_CLOCK_US;
}

// Days that have rows and no directory.
static int survey_absent_days(
    struct survey_walk *walk, const struct survey_stream *stream, const struct archive_names *days)
{
    char day[TIME_TEXT_SIZE];
    int result = 0;
    if (stream->id == 0 || stream->last_us == 0)
        return 0;
    for (int64_t time_us = stream->first_us - US_PER_DAY;
         time_us < stream->last_us + 2 * US_PER_DAY && result == 0; time_us += US_PER_DAY) {
        time_format_day(time_us, day);
        if (survey_find(days->names, days->count, day) == SIZE_MAX)
            result = survey_day(walk, stream, day);
    }
    return result;
}

static int survey_stream(struct survey_walk *walk, const struct survey_stream *stream)
{
    struct survey *survey = walk->survey;
    struct archive_names days;
    char *cause = NULL, *path = xasprintf("%s/%s", stream->camera, stream->stream);
    uint64_t counted = 0; // by the walk that found the streams
    int result = 0;
    if (archive_list_days(survey_root(walk), path, &days, &counted, &cause) < 0) {
        free(survey->volumes[walk->volume].trouble);
        survey->volumes[walk->volume].trouble = cause;
        free(path);
        return 0;
    }
    bool written = survey_written(walk, path);
    for (size_t i = 0; i < days.count && result == 0; i++) {
        char *directory = xasprintf("%s/%s", path, days.names[i]);
        if (survey_written(walk, directory))
            result = survey_day(walk, stream, days.names[i]);
        free(directory);
    }
    if (result == 0 && written)
        result = survey_absent_days(walk, stream, &days);
    archive_names_fini(&days);
    free(path);
    return result;
}

// --- One volume ---

static void survey_add_stream(struct survey_walk *walk, const struct survey_stream *stream)
{
    for (size_t i = 0; i < walk->stream_count && stream->id == 0; i++) {
        if (strcmp(walk->streams[i].camera, stream->camera) == 0 &&
            strcmp(walk->streams[i].stream, stream->stream) == 0)
            return;
    }
    ARRAY_RESERVE(walk->streams, walk->stream_count, walk->stream_capacity);
    walk->streams[walk->stream_count++] = *stream;
}

// Called for each day; a stream's last one is enough to know it.
static int survey_note_stream(const char *camera, const char *name, const char *day, void *arg)
{
    (void)day;
    struct survey_walk *walk = arg;
    struct survey_stream stream = {.id = 0};
    snprintf(stream.camera, sizeof(stream.camera), "%s", camera);
    snprintf(stream.stream, sizeof(stream.stream), "%s", name);
    const struct survey_stream *last =
        walk->stream_count > 0 ? &walk->streams[walk->stream_count - 1] : NULL;
    if (last == NULL || strcmp(last->camera, camera) != 0 || strcmp(last->stream, name) != 0)
        survey_add_stream(walk, &stream);
    return 0;
}

// The streams that the catalog knows, and those that only the volume has.
static int survey_streams(struct survey_walk *walk)
{
    struct survey *survey = walk->survey;
    struct catalog_stream *streams;
    size_t count;
    char *cause = NULL;
    enum catalog_status status = catalog_streams(walk->catalog, &streams, &count, &cause);
    if (survey_fail(survey, status, cause) < 0)
        return -1;
    walk->stream_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct survey_stream stream = {
            .id = streams[i].id, .first_us = streams[i].first_us, .last_us = streams[i].last_us};
        memcpy(stream.camera, streams[i].camera, sizeof(stream.camera));
        memcpy(stream.stream, streams[i].stream, sizeof(stream.stream));
        survey_add_stream(walk, &stream);
    }
    free(streams);
    cause = NULL;
    archive_walk(survey_root(walk), survey_note_stream, walk, &survey->unknown, &cause);
    free(cause);
    return 0;
}

static int survey_garbage(struct survey_walk *walk)
{
    struct catalog_garbage *garbage;
    size_t count;
    char *cause = NULL;
    enum catalog_status status = catalog_garbage_list(walk->catalog, &garbage, &count, &cause);
    if (survey_fail(walk->survey, status, cause) < 0)
        return -1;
    walk->garbage = xcalloc(count + 1, sizeof(*walk->garbage));
    for (size_t i = 0; i < count; i++) {
        if (garbage[i].volume_id == walk->survey->volumes[walk->volume].volume.id)
            walk->garbage[walk->garbage_count++] = xstrdup(garbage[i].key);
    }
    catalog_garbage_free(garbage, count);
    if (walk->garbage_count > 1)
        qsort(walk->garbage, walk->garbage_count, sizeof(*walk->garbage), survey_compare);
    return 0;
}

static int survey_volume(struct survey_walk *walk)
{
    int result = survey_streams(walk);
    if (result == 0)
        result = survey_garbage(walk);
    for (size_t i = 0; i < walk->stream_count && result == 0; i++)
        result = survey_stream(walk, &walk->streams[i]);
    while (walk->garbage_count > 0)
        free(walk->garbage[--walk->garbage_count]);
    free(walk->garbage);
    walk->garbage = NULL;
    return result;
}

// --- All of them ---

// Opens the volume, if what stands at its path carries its mark.
static void survey_open_volume(struct survey_volume *volume)
{
    char uuid[VOLUME_UUID_SIZE];
    int marked = volume_mark_read(volume->volume.path, uuid, &volume->trouble);
    volume->root = -1;
    if (marked == 1 && strcmp(uuid, volume->volume.uuid) == 0)
        volume->root = open(volume->volume.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (volume->root < 0 && volume->trouble == NULL)
        volume->trouble = xasprintf("%s does not carry its mark", volume->volume.path);
}

static int survey_volumes(struct survey *survey, struct catalog *catalog)
{
    struct catalog_volume *volumes = NULL;
    struct catalog_storage *storage = NULL;
    size_t count = 0, storage_count = 0;
    char *cause = NULL;
    enum catalog_status status = catalog_volumes(catalog, &volumes, &count, &cause);
    if (status == CATALOG_OK)
        status = catalog_storage(catalog, &storage, &storage_count, &cause);
    survey->volumes = xcalloc(count + 1, sizeof(*survey->volumes));
    for (size_t i = 0; i < count; i++) {
        struct survey_volume *volume = &survey->volumes[survey->volume_count++];
        volume->volume = volumes[i];
        survey_open_volume(volume);
        for (size_t j = 0; j < storage_count; j++) {
            if (storage[j].volume_id == volume->volume.id)
                volume->rows = storage[j].segments;
        }
    }
    free(volumes);
    free(storage);
    return survey_fail(survey, status, cause);
}

void survey_run(struct survey *survey)
{
    struct survey_walk walk = {.survey = survey};
    char *cause = NULL;
    enum catalog_status status = catalog_open_reader(survey->database, &walk.catalog, &cause);
    int result = survey_fail(survey, status, cause);
    if (result == 0)
        result = survey_volumes(survey, walk.catalog);
    for (; walk.volume < survey->volume_count && result == 0; walk.volume++) {
        if (survey->volumes[walk.volume].root >= 0)
            result = survey_volume(&walk);
    }
    free(walk.streams);
    if (status == CATALOG_OK)
        catalog_close(walk.catalog);
}

void survey_fini(struct survey *survey)
{
    for (size_t i = 0; i < survey->volume_count; i++) {
        struct survey_volume *volume = &survey->volumes[i];
        if (volume->root >= 0)
            close(volume->root);
        free(volume->trouble);
        free(volume->volume.path);
    }
    for (size_t i = 0; i < survey->file_count; i++)
        free(survey->files[i].key);
    free(survey->volumes);
    free(survey->files);
    free(survey->rows);
    free(survey->cause);
    *survey = (struct survey){0};
}
