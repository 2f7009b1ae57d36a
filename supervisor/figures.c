// What a stream has done. See figures.h.
#include "supervisor/figures.h"

#include "lib/core/timeutil.h"

// While frames come, ffmpeg says once a second how many.
#define FIGURES_BLOCK_US US_PER_SECOND
#define FIGURES_QUIET_US (2 * US_PER_SECOND)

// Counts the gap up to now for the reason that it has. A gap that nobody has explained yet waits:
// its whole time is that of the first reason that comes.
static void figures_count_gap(struct figures *figures, int64_t now_us)
{
    if (!figures->has_gap || figures->gap_reason == REASON_NONE)
        return;
    figures->gap_us[figures->gap_reason] += now_us - figures->gap_counted_us;
    figures->gap_counted_us = now_us;
}

static void figures_open_gap(struct figures *figures, int64_t since_us)
{
    figures->has_gap = true;
    figures->gap_reason = REASON_NONE;
    figures->gap_since_us = figures->gap_counted_us = since_us;
}

static void figures_close_gap(struct figures *figures, int64_t now_us)
{
    figures_count_gap(figures, now_us);
    figures->has_gap = false;
}

void figures_want(struct figures *figures, int64_t now_us)
{
    if (!figures->has_gap)
        figures_open_gap(figures, now_us);
}

void figures_unwant(struct figures *figures, int64_t now_us)
{
    figures_close_gap(figures, now_us);
}

void figures_begin(struct figures *figures)
{
    figures->counted = (struct progress){0};
    figures->block_us = figures->quiet_since_us = figures->quiet_until_us = 0;
}

static void figures_hear(struct figures *figures, int64_t now_us)
{
    if (figures->block_us != 0 && now_us - figures->block_us > FIGURES_QUIET_US) {
        figures->quiet_since_us = figures->block_us + FIGURES_BLOCK_US;
        figures->quiet_until_us = now_us;
    }
    figures->block_us = now_us;
}

// An ffmpeg that gives up counts once more, and that are frames from before the silence.
static void figures_correct_last_frame(struct figures *figures)
{
    if (figures->quiet_until_us == 0 || figures->last_frame_us != figures->quiet_until_us)
        return;
    int64_t quiet_us = figures->quiet_until_us - figures->quiet_since_us;
    figures->last_frame_us -= quiet_us;
    figures->last_frame_utc_us -= quiet_us;
}

// Adds what the run's counter has grown by. One that falls says nothing.
static void figures_add(int64_t *total, int64_t counter, int64_t *counted)
{
    if (counter <= *counted)
        return;
    *total += counter - *counted;
    *counted = counter;
}

void figures_progress(
    struct figures *figures, const struct progress *progress, int64_t now_us, int64_t utc_us)
{
    int64_t frames_before = figures->frames;
    figures_hear(figures, now_us);
    figures_add(&figures->frames, progress->frames, &figures->counted.frames);
    figures_add(&figures->duplicated, progress->duplicated, &figures->counted.duplicated);
    figures_add(&figures->dropped, progress->dropped, &figures->counted.dropped);
    if (figures->frames == frames_before)
        return;
    if (figures->has_gap) {
        figures->last_gap_us = now_us - figures->gap_since_us;
        figures_close_gap(figures, now_us);
    }
    figures->last_frame_us = now_us;
    figures->last_frame_utc_us = utc_us;
}

void figures_grow(struct figures *figures, int64_t bytes)
{
    if (bytes > 0)
        figures->bytes += bytes;
}

void figures_end(struct figures *figures, enum reason reason, bool is_restart, int64_t now_us)
{
    if (is_restart)
        figures->restarts[reason]++;
    figures_correct_last_frame(figures);
    if (!figures->has_gap)
        figures_open_gap(figures, figures->last_frame_us);
    figures_count_gap(figures, now_us);
    figures->gap_reason = reason;
    figures_count_gap(figures, now_us);
}

void figures_tick(struct figures *figures, int64_t now_us)
{
    unsigned place = figures->sample_count++ % FIGURES_SAMPLES;
    figures->samples[place].time_us = now_us;
    figures->samples[place].bytes = figures->bytes;
    figures->samples[place].frames = figures->frames;
}

int64_t figures_gap_us(const struct figures *figures, enum reason reason, int64_t now_us)
{
    int64_t gap_us = figures->gap_us[reason];
    if (figures->has_gap && figures->gap_reason == reason && reason != REASON_NONE)
        gap_us += now_us - figures->gap_counted_us;
    return gap_us;
}

int64_t figures_restarts(const struct figures *figures)
{
    int64_t count = 0;
    for (int reason = 0; reason < REASON_COUNT; reason++)
        count += figures->restarts[reason];
    return count;
}

// The places of the oldest and the newest sample. Returns the seconds between them; 0: no rate.
static double figures_window(const struct figures *figures, unsigned *oldest, unsigned *newest)
{
    unsigned count = figures->sample_count;
    if (count < 2)
        return 0;
    *newest = (count - 1) % FIGURES_SAMPLES;
    *oldest = count < FIGURES_SAMPLES ? 0 : count % FIGURES_SAMPLES;
    int64_t window_us = figures->samples[*newest].time_us - figures->samples[*oldest].time_us;
    return (double)window_us / US_PER_SECOND;
}

double figures_bytes_per_second(const struct figures *figures)
{
    unsigned oldest = 0, newest = 0;
    double seconds = figures_window(figures, &oldest, &newest);
    if (seconds <= 0)
        return 0;
    return (double)(figures->samples[newest].bytes - figures->samples[oldest].bytes) / seconds;
}

double figures_fps(const struct figures *figures)
{
    unsigned oldest = 0, newest = 0;
    double seconds = figures_window(figures, &oldest, &newest);
    if (seconds <= 0)
        return 0;
    return (double)(figures->samples[newest].frames - figures->samples[oldest].frames) / seconds;
}
