// links: kf-webui
// Any bytes as a segment file that grows while it is watched: what is handed on lies inside the
// file, nothing is read for ever, and it can be sent in every form.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/live_history.h"
#include "webui/live_movie.h"
#include "webui/live_mux.h"
#include "webui/live_reader.h"
#include "webui/live_sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static int read_input(void *arg, uint64_t offset, void *data, size_t size)
{
    const struct input *input = arg;
    assert(offset <= input->size && size <= input->size - offset);
    memcpy(data, input->data + offset, size);
    return 0;
}

// Sends a fragment with and without sound.
static void send_fragment(struct live_movie movies[2], struct live_fragment *fragment)
{
    const struct live_mux_tile tile = {.camera = "a", .stream = "b", .sound = true};
    for (int sound = 0; sound < 2; sound++) {
        const struct live_item item = {
            .needs_init = movies[sound].init == NULL, .fragment = fragment};
        struct buf head = BUF_INIT;
        char *cause = NULL;
        live_movie_put(&movies[sound], &item, &head, &cause);
        live_mux_put_init(&head, 0, &tile, fragment->part.init);
        live_mux_put_media(&head, &tile, &item, 0);
        buf_fini(&head);
        free(cause);
    }
}

static void take_part(struct live_history *history, struct live_movie movies[2],
    struct live_sound *sound, struct live_part *part, const struct input *input)
{
    struct buf bytes = BUF_INIT;
    char *cause = NULL;
    assert(part->offset <= input->size && part->size <= input->size - part->offset);
    assert(part->moof_size < part->size);
    buf_put(&bytes, input->data + part->offset, part->size);
    live_history_place(history, part);
    live_part_ref(part);
    struct live_fragment *fragment = live_fragment_new(part, &bytes, &cause);
    if (fragment != NULL) {
        live_history_add(history, part);
        live_history_keep(history, fragment);
        send_fragment(movies, fragment);
        struct live_fragment *made = live_sound_fill(sound, fragment);
        if (made != NULL)
            send_fragment(movies, made);
        live_fragment_unref(made);
        live_fragment_unref(fragment);
    } else {
        live_part_unref(part);
    }
    buf_fini(&bytes);
    free(cause);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct live_history history;
    const struct segment_id id = {"a", "b", 1, 0};
    struct live_file *file = live_file_new(&id, -1);
    struct live_movie movies[2] = {{.sound = false}, {.sound = true}};
    struct live_sound sound = {0};
    struct live_reader reader = {0};
    struct input input = {data, 0};
    live_history_init(&history);
    // The first byte tells in how many steps it grows.
    for (size_t step = 1 + (size > 0 ? data[0] % 4 : 0); step > 0; step--) {
        input.size = size / step;
        const struct mp4_source source = {
            .read = read_input, .arg = &input, .size = input.size, .growing = true};
        struct live_part part;
        enum live_read result;
        do {
            char *cause = NULL;
            result = live_reader_next(&reader, &source, &part, &cause);
            assert((cause != NULL) == (result == LIVE_READ_LOST || result == LIVE_READ_BROKEN));
            free(cause);
            part.file = file;
            part.appeared_us = 0;
            if (result == LIVE_READ_PART)
                take_part(&history, movies, &sound, &part, &input);
        } while (result == LIVE_READ_PART || result == LIVE_READ_LOST);
    }
    live_history_fini(&history);
    live_movie_fini(&movies[0]);
    live_movie_fini(&movies[1]);
    live_reader_fini(&reader);
    live_file_unref(file);
    return 0;
}
