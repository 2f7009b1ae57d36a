// Damage in one file. See damage.h.
#include "indexer/damage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "indexer/hash.h"
#include "indexer/sealed.h"
#include "lib/core/alloc.h"
#include "lib/media/catalog_tracks.h"
#include "lib/media/nal.h"
#include "lib/media/samples.h"

enum {
    DAMAGE_MOVED_US_MAX = 1000, // a start that was taken is moved on
};

struct damage_work {
    const struct damage_file *file;
    int fd;
    uint64_t size;
    struct damages *found;
    struct sealed *sealed; // what the file says itself, NULL where that can not be read
    unsigned nal_length;
    struct buf bytes; // of one sample
};

void damages_fini(struct damages *damages)
{
    for (size_t i = 0; i < damages->count; i++)
        free(damages->items[i].what);
    free(damages->items);
    *damages = (struct damages){0};
}

static struct damage *damage_add(struct damages *found, struct damage damage)
{
    ARRAY_RESERVE(found->items, found->count, found->capacity);
    found->items[found->count] = damage;
    return &found->items[found->count++];
}

// Takes `what` over.
static void damage_whole(struct damage_work *work, char *what)
{
    const struct catalog_segment *row = work->file->row;
    damage_add(work->found,
        (struct damage){.start_us = row->start_us, .end_us = row->end_us, .what = what});
}

// --- Samples ---

// One track as it is walked over.
struct damage_walk {
    const struct catalog_track *row;
    const struct media_track *media; // the file's own, NULL without any
    size_t next;                     // of its samples
    struct damage *open;             // the damage that the last sample belongs to
};

// Whether the file's fragments have that very sample. Both ascend.
static bool damage_described(struct damage_walk *walk, const struct sample *sample)
{
    const struct media_track *media = walk->media;
    while (walk->next < media->sample_count && media->samples[walk->next].offset < sample->offset)
        walk->next++;
    if (walk->next == media->sample_count)
        return false;
    const struct media_sample *own = &media->samples[walk->next];
    // The last sample before a damaged one lasts as long as the fragments that are left say.
    return own->offset == sample->offset && own->size == sample->size &&
           own->composition == sample->composition && own->key == sample->key;
}

static int damage_read(struct damage_work *work, const struct sample *sample)
{
    work->bytes.size = 0;
    uint8_t *data = buf_extend(&work->bytes, sample->size);
    for (size_t done = 0; done < sample->size;) {
        ssize_t count =
            pread(work->fd, data + done, sample->size - done, (off_t)(sample->offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count == 0 ? EIO : errno;
            return -1;
        }
        done += (size_t)count;
    }
    return 0;
}

// What is wrong with a sample, or NULL.
static const char *damage_judge(
    struct damage_work *work, struct damage_walk *walk, const struct sample *sample)
{
    const struct catalog_segment *row = work->file->row;
    if (sample->offset < row->media_offset || sample->offset > row->media_end ||
        sample->size > row->media_end - sample->offset)
        return "the catalog has them outside of the file's media";
    if (sample->offset + sample->size > work->size)
        return "they are cut off";
    if (damage_read(work, sample) < 0)
        return strerror(errno);
    if (walk->row == &row->video && work->nal_length > 0 &&
        !nal_sample_whole(work->bytes.data, sample->size, work->nal_length))
        return "their bytes are no pictures";
    if (walk->media != NULL && !damage_described(walk, sample))
        return "the file's fragments do not describe them";
    return NULL;
}

// Where a sample is shown in UTC.
static void damage_span(const struct damage_work *work, const struct damage_walk *walk,
    const struct sample *sample, struct damage *damage)
{
    const struct catalog_segment *row = work->file->row;
    const struct track_summary *first =
        row->video.codec_id != 0 ? &row->video.summary : &row->audio.summary;
    const struct track_summary *own = &walk->row->summary;
    int64_t media_start_us =
        media_ticks_to_us(first->start + first->first_presentation, first->timescale);
    int64_t ticks = own->start + (int64_t)sample->decode_time + sample->composition;
    int64_t base_us = row->start_us - media_start_us;
    damage->start_us = base_us + media_ticks_to_us(ticks, own->timescale);
    damage->end_us = base_us + media_ticks_to_us(ticks + sample->duration, own->timescale);
}

static void damage_sample(struct damage_work *work, struct damage_walk *walk,
    const struct sample *sample, enum media_kind kind)
{
    const char *what = damage_judge(work, walk, sample);
    if (what == NULL) {
        walk->open = NULL;
        return;
    }
    struct damage damage = {.kind = kind, .samples = 1};
    damage_span(work, walk, sample, &damage);
    struct damage *open = walk->open;
    if (open == NULL || strcmp(open->what, what) != 0) {
        damage.what = xstrdup(what);
        walk->open = damage_add(work->found, damage);
        return;
    }
    open->samples++;
    if (damage.start_us < open->start_us)
        open->start_us = damage.start_us;
    if (damage.end_us > open->end_us)
        open->end_us = damage.end_us;
}

static void damage_samples(struct damage_work *work, const struct buf *packed)
{
    struct sample_table table;
    char *cause = NULL;
    if (sample_table_open(&table, packed->data, packed->size, &cause) < 0) {
        damage_whole(work, xasprintf("the catalog's sample table: %s", cause));
        free(cause);
        return;
    }
    for (size_t i = 0; i < table.track_count; i++) {
        const struct sample_table_track *track = &table.tracks[i];
        const struct catalog_segment *row = work->file->row;
        struct damage_walk walk = {
            .row = track->kind == MEDIA_VIDEO ? &row->video : &row->audio,
            .media = work->sealed ? media_segment_track(&work->sealed->media, track->kind) : NULL,
        };
        if (walk.row->summary.timescale == 0)
            continue;
        struct sample_iter iter;
        sample_iter_init(&iter, track);
        for (const struct sample *sample; (sample = sample_iter_next(&iter)) != NULL;)
            damage_sample(work, &walk, sample, track->kind);
    }
}

// --- The file as a whole ---

static bool damage_same_track(const struct catalog_track *row, const struct catalog_track *own)
{
    return row->codec_id == 0 ? own->summary.counts.samples == 0
                              : row->summary.timescale == own->summary.timescale;
}

// Whether the row says what the file says of itself.
static bool damage_same_row(const struct catalog_segment *row, struct catalog_segment *own)
{
    int64_t moved_us = row->start_us - own->start_us;
    if (row->media_offset != own->media_offset || row->media_end != own->media_end ||
        row->utc_offset_s != own->utc_offset_s || moved_us < 0 || moved_us > DAMAGE_MOVED_US_MAX ||
        !damage_same_track(&row->video, &own->video) ||
        !damage_same_track(&row->audio, &own->audio))
        return false;
    struct buf left = BUF_INIT, right = BUF_INIT;
    own->start_us = row->start_us;
    own->video.codec_id = row->video.codec_id;
    own->audio.codec_id = row->audio.codec_id;
    catalog_tracks_encode(row, &left);
    catalog_tracks_encode(own, &right);
    bool same = left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
    buf_fini(&left);
    buf_fini(&right);
    return same;
}

static void damage_structure(struct damage_work *work)
{
    const struct damage_file *file = work->file;
    struct sealed *sealed = work->sealed;
    char wanted[SEGMENT_TEXT_SIZE];
    segment_id_format(&file->id, wanted);
    size_t before = work->found->count;
    if (strcmp(wanted, sealed->tags.identity) != 0)
        damage_whole(work, xasprintf("the file is of %s", sealed->tags.identity));
    else if (file->packed == NULL)
        damage_whole(work, xstrdup("the catalog has lost its sample table"));
    damage_samples(work, file->packed ? file->packed : &sealed->packed);
    if (file->packed == NULL || work->found->count > before)
        return;
    if (sealed->state != SEAL_DONE)
        damage_whole(work, xstrdup("its own sample table is damaged: Keepframe plays the file, "
                                   "other players may not"));
    else if (file->packed->size != sealed->packed.size ||
             memcmp(file->packed->data, sealed->packed.data, sealed->packed.size) != 0 ||
             !damage_same_row(file->row, &sealed->row))
        damage_whole(work, xstrdup("the catalog's row says otherwise than the file"));
}

// Where there is no hash, damage inside of pictures and sound goes unseen.
static void damage_hash(struct damage_work *work)
{
    uint8_t hash[HASH_SIZE];
    char *cause = NULL;
    if (work->file->hash == NULL)
        return;
    if (hash_file(work->fd, hash, &cause) < 0)
        damage_whole(work, xasprintf("its hash: %s", cause));
    else if (memcmp(hash, work->file->hash, sizeof(hash)) != 0)
        damage_whole(work, xstrdup("its bytes are not those that were filed: another SHA-256"));
    free(cause);
}

void damage_look(const struct damage_file *file, int fd, uint64_t size, struct damages *found)
{
    struct damage_work work = {.file = file, .fd = fd, .size = size, .found = found};
    struct sealed sealed;
    char *cause = NULL;
    if (file->entry->size > 0)
        work.nal_length = nal_length_size(file->entry->data, file->entry->size);
    if (size != file->row->size_bytes)
        damage_whole(&work, xasprintf("it has %" PRIu64 " bytes, the catalog knows %" PRIu64, size,
                                file->row->size_bytes));
    damage_hash(&work);
    if (sealed_load(&sealed, fd, size, file->row->key, &cause) == 0) {
        work.sealed = &sealed;
        damage_structure(&work);
        sealed_fini(&sealed);
    } else {
        damage_whole(&work, xasprintf("its structure can not be read: %s", cause));
        free(cause);
        if (file->packed != NULL)
            damage_samples(&work, file->packed);
    }
    buf_fini(&work.bytes);
}
