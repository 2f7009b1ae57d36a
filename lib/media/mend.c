// Mends the jump of the first sender report. See mend.h.
#include "lib/media/mend.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

enum {
    MEND_SECONDS = 12,     // of a run, in which a jump is looked for
    MEND_JUMP_MAX = 5,     // seconds
    MEND_SQUEEZED = 2,     // ticks that a squeezed sample lasts at most
    MEND_SQUEEZED_MIN = 3, // in a row
    MEND_REGULAR_MAX = 3,  // that happen to look regular between squeezed ones
    MEND_COUNT_MAX = 10000,
};

// No time of a track lies further out.
#define MEND_TIME_MAX (INT64_MAX / 4)

// One track over the files of a run's beginning, on one clock.
struct mend_line {
    uint32_t timescale;
    int64_t *times; // of each sample, and of the end
    size_t count;   // samples
    size_t capacity;
    int64_t composition; // sum
    uint32_t usual;
};

// --- Looking ---

static int mend_compare(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// The spacing that most samples have: the median of those that are not squeezed.
static uint32_t mend_usual(const struct mend_line *line)
{
    int64_t *spaces = xcalloc(line->count + 1, sizeof(*spaces));
    size_t count = 0;
    for (size_t i = 0; i < line->count; i++) {
        int64_t space = line->times[i + 1] - line->times[i];
        if (space > MEND_SQUEEZED && space <= UINT32_MAX)
            spaces[count++] = space;
    }
    qsort(spaces, count, sizeof(*spaces), mend_compare);
    uint32_t usual = count > 0 ? (uint32_t)spaces[count / 2] : 0;
    free(spaces);
    return usual;
}

static void mend_line_add(struct mend_line *line, int64_t time)
{
    ARRAY_RESERVE(line->times, line->count, line->capacity);
    line->times[line->count] = time;
}

// Reads a track of the files, as far as a jump and what comes behind it can reach.
static void mend_line_init(struct mend_line *line, const struct media_segment *segments,
    size_t count, enum media_kind kind)
{
    *line = (struct mend_line){0};
    for (size_t i = 0; i < count; i++) {
        const struct media_track *track = media_segment_track(&segments[i], kind);
        if (track == NULL || track->sample_count == 0 || track->timescale == 0)
            continue;
        line->timescale = track->timescale;
        int64_t time = track->start;
        int64_t limit = (line->count > 0 ? line->times[0] : time) +
                        (int64_t)line->timescale * (MEND_SECONDS + 2 * MEND_JUMP_MAX);
        for (size_t j = 0; j < track->sample_count && time <= limit; j++) {
            mend_line_add(line, time);
            line->composition += track->samples[j].composition;
            line->count++;
            time += track->samples[j].duration;
        }
        mend_line_add(line, time);
    }
    if (line->count > 0)
        line->usual = mend_usual(line);
}

static int64_t mend_line_length(const struct mend_line *line)
{
    return line->count > 0 ? line->times[line->count] - line->times[0] : 0;
}

bool mend_ready(const struct media_segment *segments, size_t count)
{
    struct mend_line lines[2];
    mend_line_init(&lines[0], segments, count, MEDIA_VIDEO);
    mend_line_init(&lines[1], segments, count, MEDIA_AUDIO);
    bool single = lines[0].count == 0 || lines[1].count == 0;
    bool ready =
        single || mend_line_length(&lines[0]) >= (int64_t)lines[0].timescale * MEND_SECONDS;
    free(lines[0].times);
    free(lines[1].times);
    return ready;
}

static bool mend_squeezed(const struct mend_line *line, size_t i)
{
    return line->times[i + 1] - line->times[i] <= MEND_SQUEEZED;
}

static bool mend_irregular(const struct mend_line *line, size_t i)
{
    int64_t off = line->times[i + 1] - line->times[i] - line->usual;
    return off > line->usual / 4 || off < -(int64_t)(line->usual / 4);
}

// A distance that a report may move a track by: more than frames that were lost.
static bool mend_distance(const struct mend_line *line, int64_t ticks)
{
    return ticks >= (int64_t)line->timescale / 10 && ticks > (int64_t)line->usual * 5 / 2 &&
           ticks <= (int64_t)line->timescale * MEND_JUMP_MAX;
}

// Whether samples from i on are squeezed. Fills where they end; what comes behind must be there.
static bool mend_squeezed_from(const struct mend_line *line, size_t i, struct mend *mend)
{
    size_t row = 0;
    while (i + row < line->count && row < MEND_SQUEEZED_MIN && mend_squeezed(line, i + row))
        row++;
    if (row < MEND_SQUEEZED_MIN)
        return false;
    size_t end = i + row; // behind the last irregular one
    for (size_t j = end; j < line->count && j < end + MEND_REGULAR_MAX; j++)
        if (mend_irregular(line, j))
            end = j + 1;
    if (end >= line->count || end - i > MEND_COUNT_MAX)
        return false;
    mend->at = line->times[i];
    mend->end = line->times[end];
    mend->count = (uint32_t)(end - i);
    // On average, frames are shown so long after they are decoded.
    int64_t delay = line->composition / (int64_t)(line->count - mend->count);
    mend->composition = (int32_t)((delay + line->usual / 2) / line->usual * (int64_t)line->usual);
    return mend_distance(line, (int64_t)mend->count * line->usual - (mend->end - mend->at));
}

static bool mend_long_at(const struct mend_line *line, size_t i, struct mend *mend)
{
    mend->at = line->times[i];
    mend->end = line->times[i + 1];
    mend->count = 1;
    mend->composition = 0;
    return i + 1 < line->count && mend_distance(line, mend->end - mend->at - line->usual);
}

// Whether a track runs on evenly from one moment to another (seconds on its own clock).
static bool mend_runs_on(const struct mend_line *line, double from, double to)
{
    size_t met = 0, row = 0;
    for (size_t i = 0; i + 1 < line->count; i++) {
        double start = (double)line->times[i] / line->timescale;
        double end = (double)line->times[i + 1] / line->timescale;
        if (end < from || start > to)
            continue;
        row = mend_squeezed(line, i) ? row + 1 : 0;
        if (row >= MEND_SQUEEZED_MIN ||
            mend_distance(line, line->times[i + 1] - line->times[i] - line->usual))
            return false;
        met++;
    }
    return met > 0 && (double)line->times[line->count] / line->timescale >= to;
}

static bool mend_find_in(
    const struct mend_line *line, const struct mend_line *other, struct mend *mend)
{
    int64_t limit = line->times[0] + (int64_t)line->timescale * MEND_SECONDS;
    mend->usual = line->usual;
    for (size_t i = 0; i + 1 < line->count && line->times[i] < limit; i++) {
        if (!mend_squeezed_from(line, i, mend) && !mend_long_at(line, i, mend))
            continue;
        double at = (double)mend->at / line->timescale, end = (double)mend->end / line->timescale;
        return mend_runs_on(other, at, end);
    }
    return false;
}

bool mend_find(const struct media_segment *segments, size_t count, struct mend *mend)
{
    struct mend_line video, audio;
    mend_line_init(&video, segments, count, MEDIA_VIDEO);
    mend_line_init(&audio, segments, count, MEDIA_AUDIO);
    bool found = false;
    *mend = (struct mend){0};
    if (video.count > 0 && audio.count > 0 && video.usual > 0 && audio.usual > 0) {
        found = mend_find_in(&video, &audio, mend);
        mend->kind = MEDIA_VIDEO;
        if (!found) {
            found = mend_find_in(&audio, &video, mend);
            mend->kind = MEDIA_AUDIO;
        }
    }
    if (!found)
        *mend = (struct mend){0};
    free(video.times);
    free(audio.times);
    return found;
}

// --- Mending ---

// The part of a mending that lies in one file.
struct mend_part {
    size_t first;    // sample of the file that is the first of those from `at` on
    size_t count;    // of them in the file
    uint32_t before; // in the files before
};

// Returns false where the mending does not fit the track.
static bool mend_part_init(
    struct mend_part *part, const struct mend *mend, const struct media_track *track)
{
    int64_t time = track->start, first = 0;
    *part = (struct mend_part){0};
    for (size_t i = 0; i < track->sample_count && time < mend->end; i++) {
        if (time >= mend->at && part->count++ == 0)
            first = time;
        part->first += time < mend->at;
        time += track->samples[i].duration;
    }
    if (part->count > mend->count)
        return false;
    // It began in the file before: what is here are its last ones.
    if (part->count > 0 && first > mend->at)
        part->before = mend->count - (uint32_t)part->count;
    return true;
}

// The mended time of sample `i`, or of the end, which stands at `time` now.
static int64_t mend_time(
    const struct mend *mend, const struct mend_part *part, size_t i, int64_t time)
{
    int64_t spaces = mend->count;
    if (time >= mend->end)
        return time;
    if (time < mend->at)
        return time + mend->end - mend->at - spaces * mend->usual;
    spaces -= (int64_t)(i - part->first) + part->before;
    return mend->end - spaces * mend->usual;
}

static struct media_track *mend_track(const struct mend *mend, struct media_segment *segment)
{
    for (size_t i = 0; mend->kind != 0 && i < segment->track_count; i++)
        if (segment->tracks[i].kind == mend->kind && segment->tracks[i].sample_count > 0)
            return &segment->tracks[i];
    return NULL;
}

// Works out the mended durations, and with `write` puts them down. Returns false where one is not
// possible.
static bool mend_durations(
    const struct mend *mend, const struct mend_part *part, struct media_track *track, bool write)
{
    int64_t time = track->start, mended = mend_time(mend, part, 0, time);
    if (write)
        track->start = mended;
    for (size_t i = 0; i < track->sample_count; i++) {
        struct media_sample *sample = &track->samples[i];
        bool squeezed = mend->count > 1 && time >= mend->at && time < mend->end;
        time += sample->duration;
        int64_t next = mend_time(mend, part, i + 1, time);
        if (next < mended || next - mended > UINT32_MAX)
            return false;
        if (write)
            sample->duration = (uint32_t)(next - mended);
        if (write && squeezed)
            sample->composition = mend->composition;
        mended = next;
    }
    return true;
}

bool mend_apply(const struct mend *mend, struct media_segment *segment)
{
    struct media_track *track = mend_track(mend, segment);
    struct mend_part part;
    if (track == NULL || track->start >= mend->end || track->start < -MEND_TIME_MAX ||
        !mend_part_init(&part, mend, track) || !mend_durations(mend, &part, track, false))
        return false;
    return mend_durations(mend, &part, track, true);
}

uint32_t mend_lost(const struct mend *mend, const struct media_segment *segment)
{
    const struct media_track *track = media_segment_track(segment, mend->kind);
    uint32_t lost = 0;
    if (track == NULL || mend->count <= 1)
        return 0;
    int64_t time = track->start;
    for (size_t i = 0; i < track->sample_count && time < mend->end; i++) {
        lost += time >= mend->at && track->samples[i].composition != mend->composition;
        time += track->samples[i].duration;
    }
    return lost;
}

// --- As text ---

void mend_format(const struct mend *mend, char text[MEND_TEXT_SIZE])
{
    text[0] = '\0';
    if (mend->kind != 0)
        snprintf(text, MEND_TEXT_SIZE,
            "%s %" PRId64 " %" PRId64 " %" PRIu32 " %" PRIu32 " %" PRId32,
            mend->kind == MEDIA_VIDEO ? "video" : "audio", mend->at, mend->end, mend->count,
            mend->usual, mend->composition);
}

bool mend_parse(const char *text, struct mend *mend)
{
    char kind[8], canonical[MEND_TEXT_SIZE];
    *mend = (struct mend){0};
    if (text[0] == '\0')
        return true;
    struct mend read = {0};
    if (sscanf(text, "%7s %20" SCNd64 " %20" SCNd64 " %10" SCNu32 " %10" SCNu32 " %11" SCNd32, kind,
            &read.at, &read.end, &read.count, &read.usual, &read.composition) != 6)
        return false;
    read.kind = strcmp(kind, "video") == 0 ? MEDIA_VIDEO : MEDIA_AUDIO;
    mend_format(&read, canonical);
    if (strcmp(canonical, text) != 0 || read.count == 0 || read.count > MEND_COUNT_MAX ||
        read.usual == 0 || read.at < -MEND_TIME_MAX || read.end > MEND_TIME_MAX ||
        read.at >= read.end)
        return false;
    *mend = read;
    return true;
}
