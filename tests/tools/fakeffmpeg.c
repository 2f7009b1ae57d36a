// A stand-in for ffmpeg that misbehaves on command. It takes the supervisor's real command line:
// finds the output's pattern, the script and the progress descriptor, and writes segments (the
// header of a real one, then fragments of its own making) and progress blocks in real time. It
// neither connects nor encodes.
//
// FAKEFFMPEG_CONTROL names a folder. A file CAMERA-STREAM in it holds a fault and, if it is to
// strike more than once, how often: "refuse 3". The process that the fault strikes counts it down.
//
//   crash    dies of SIGSEGV
//   refuse   ends as where a camera refuses the connection
//   stall    goes on living, writes neither files nor progress, but ends on SIGTERM
//   deaf     stalls, and heeds no SIGTERM
//   closed   closes its pipes, writes no file, and lives on
//   flood    goes on recording, and writes to stderr as fast as it is read, for three seconds
//   fork     ends; a child of its own keeps the pipes open
//   daemon   ends; a child in a session of its own keeps the pipes open until they are given up
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "lib/core/timeutil.h"

enum {
    FPS = 25,
    TIMESCALE = 90000,
    FRAGMENT_FRAMES = 12,
    GOP_FRAMES = 48, // so that a fragment begins with each key frame
    SAMPLE_SIZE = 400,
    FLOOD_S = 3,
};

#define STEP_US (US_PER_SECOND / 5)

struct fake {
    char *pattern;
    char *control; // the control file, or NULL
    int script_fd, progress_fd;
    int64_t segment_us;
    struct buf header; // ftyp and moov of a real segment
    FILE *file;
    int number; // of the open segment
    int64_t file_frames;
    int64_t frames; // written so far
    int64_t start_us;
    int64_t progress_us;
    int64_t flood_until_us;
    bool is_stalled;
};

static volatile sig_atomic_t is_told_to_end;
static volatile sig_atomic_t is_deaf;

static void terminate(int number)
{
    (void)number;
    if (!is_deaf)
        is_told_to_end = 1;
}

static _Noreturn void fail(const char *text)
{
    fprintf(stderr, "[fatal] fakeffmpeg: %s\n", text);
    exit(1);
}

// --- Segments ---

static size_t box_begin(struct buf *buf, const char *type)
{
    size_t at = buf->size;
    buf_put_u32(buf, 0);
    buf_put(buf, type, 4);
    return at;
}

static void box_end(struct buf *buf, size_t at)
{
    buf_set_u32(buf, at, (uint32_t)(buf->size - at));
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// Reads ftyp and moov of the template: all before its first fragment.
static void read_header(struct fake *fake)
{
    const char *path = getenv("FAKEFFMPEG_SEGMENT") ? getenv("FAKEFFMPEG_SEGMENT") : FAKE_SEGMENT;
    FILE *file = fopen(path, "re");
    uint8_t head[8];
    bool has_moov = false;
    while (file != NULL && !has_moov && fread(head, 1, 8, file) == 8) {
        uint32_t size = read_u32(head);
        if (size < 8 || size > 65536)
            break;
        uint8_t *body = xmalloc(size);
        if (fread(body, 1, size - 8, file) != size - 8)
            break;
        buf_put(&fake->header, head, 8);
        buf_put(&fake->header, body, size - 8);
        free(body);
        has_moov = memcmp(head + 4, "moov", 4) == 0;
    }
    if (!has_moov)
        fail("the template has no header");
    fclose(file);
}

// The track fragment of one fragment: constant frame rate, no reordering.
static size_t put_traf(struct buf *buf, int64_t first, int count)
{
    size_t traf = box_begin(buf, "traf");
    size_t box = box_begin(buf, "tfhd");
    buf_put_u32(buf, 0x020038); // default-base-is-moof, default duration, size and flags
    buf_put_u32(buf, 1);
    buf_put_u32(buf, TIMESCALE / FPS);
    buf_put_u32(buf, SAMPLE_SIZE);
    buf_put_u32(buf, 0x01010000); // no key frame
    box_end(buf, box);
    box = box_begin(buf, "tfdt");
    buf_put_u32(buf, 0x01000000);
    buf_put_u64(buf, (uint64_t)first * (TIMESCALE / FPS));
    box_end(buf, box);
    box = box_begin(buf, "trun");
    bool is_key = first % GOP_FRAMES == 0;
    buf_put_u32(buf, is_key ? 0x000005 : 0x000001); // data offset, first sample's flags
    buf_put_u32(buf, (uint32_t)count);
    size_t offset = buf->size;
    buf_put_u32(buf, 0);
    if (is_key)
        buf_put_u32(buf, 0x02000000);
    box_end(buf, box);
    box_end(buf, traf);
    return offset;
}

static void put_samples(struct buf *buf, int64_t first, int count)
{
    size_t mdat = box_begin(buf, "mdat");
    for (int i = 0; i < count; i++) {
        bool is_key = (first + i) % GOP_FRAMES == 0;
        buf_put_u32(buf, SAMPLE_SIZE - 4);
        buf_put_u8(buf, is_key ? 0x65 : 0x41);
        for (int j = 5; j < SAMPLE_SIZE; j++)
            buf_put_u8(buf, (uint8_t)(first + i + j));
    }
    box_end(buf, mdat);
}

static void write_fragment(struct fake *fake, int count)
{
    struct buf buf = BUF_INIT;
    size_t moof = box_begin(&buf, "moof");
    size_t mfhd = box_begin(&buf, "mfhd");
    buf_put_u32(&buf, 0);
    buf_put_u32(&buf, (uint32_t)(fake->frames / FRAGMENT_FRAMES + 1));
    box_end(&buf, mfhd);
    size_t offset = put_traf(&buf, fake->frames, count);
    box_end(&buf, moof);
    buf_set_u32(&buf, offset, (uint32_t)(buf.size - moof) + 8);
    put_samples(&buf, fake->frames, count);
    if (fwrite(buf.data, 1, buf.size, fake->file) != buf.size || fflush(fake->file) != 0)
        fail("No space left on device");
    buf_fini(&buf);
}

static void open_segment(struct fake *fake)
{
    if (fake->file != NULL) {
        fclose(fake->file);
        fake->number++;
    }
    // The pattern's one conversion is %06d; "%%" stands for '%'.
    char path[4096];
    size_t length = 0;
    for (const char *at = fake->pattern; *at != '\0' && length + 16 < sizeof(path); at++) {
        if (strncmp(at, "%06d", 4) == 0) {
            length += (size_t)snprintf(path + length, 16, "%06d", fake->number);
            at += 3;
        } else {
            at += *at == '%';
            path[length++] = *at;
        }
    }
    path[length] = '\0';
    fake->file = fopen(path, "wxe");
    if (fake->file == NULL ||
        fwrite(fake->header.data, 1, fake->header.size, fake->file) != fake->header.size)
        fail("a segment can not be opened");
    fake->file_frames = 0;
}

// Writes what has become due.
static void record(struct fake *fake, int64_t now_us)
{
    int64_t due = (now_us - fake->start_us) * FPS / US_PER_SECOND;
    while (fake->frames + FRAGMENT_FRAMES <= due) {
        bool is_key = fake->frames % GOP_FRAMES == 0;
        bool is_full = fake->file_frames * US_PER_SECOND / FPS >= fake->segment_us;
        if (fake->file == NULL || (is_full && is_key))
            open_segment(fake);
        write_fragment(fake, FRAGMENT_FRAMES);
        fake->frames += FRAGMENT_FRAMES;
        fake->file_frames += FRAGMENT_FRAMES;
    }
}

static void tell_progress(struct fake *fake, int64_t now_us)
{
    if (now_us - fake->progress_us < US_PER_SECOND)
        return;
    fake->progress_us = now_us;
    dprintf(fake->progress_fd,
        "frame=%" PRId64 "\nfps=%d.00\nstream_0_0_q=-1.0\nbitrate=N/A\ntotal_size=N/A\n"
        "out_time_us=%" PRId64 "\ndup_frames=0\ndrop_frames=0\nspeed=   1x\nprogress=continue\n",
        fake->frames, FPS, fake->frames * US_PER_SECOND / FPS);
}

// --- Faults ---

static void close_pipes(struct fake *fake)
{
    close(fake->progress_fd);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    fake->is_stalled = true;
}

// Leaves a child behind that holds the pipes and looks whether anybody still reads them.
static _Noreturn void leave_behind(bool with_session)
{
    if (fork() == 0) {
        if (with_session)
            setsid();
        while (dprintf(STDERR_FILENO, "[info] left behind\n") > 0)
            nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    }
    _exit(0);
}

static void strike(struct fake *fake, const char *fault, int64_t now_us)
{
    if (strcmp(fault, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (strcmp(fault, "refuse") == 0) {
        fprintf(stderr, "[tcp @ 0x1] [error] Connection to tcp://192.0.2.1:554?timeout=0 failed: "
                        "Connection refused\n");
        exit(1);
    } else if (strcmp(fault, "stall") == 0) {
        fake->is_stalled = true;
    } else if (strcmp(fault, "deaf") == 0) {
        is_deaf = fake->is_stalled = true;
    } else if (strcmp(fault, "closed") == 0) {
        close_pipes(fake);
    } else if (strcmp(fault, "flood") == 0) {
        fake->flood_until_us = now_us + FLOOD_S * US_PER_SECOND;
    } else if (strcmp(fault, "fork") == 0 || strcmp(fault, "daemon") == 0) {
        leave_behind(strcmp(fault, "daemon") == 0);
    } else {
        fail("unknown fault");
    }
}

// Takes one fault from the control file, if there is one.
static void obey(struct fake *fake, int64_t now_us)
{
    char fault[32];
    int count = 1;
    FILE *file = fake->control ? fopen(fake->control, "re") : NULL;
    if (file == NULL)
        return;
    int found = fscanf(file, "%31s %d", fault, &count);
    fclose(file);
    if (found < 1)
        return; // it is being written
    if (count <= 1) {
        unlink(fake->control);
    } else if ((file = fopen(fake->control, "we")) != NULL) {
        fprintf(file, "%s %d\n", fault, count - 1);
        fclose(file);
    }
    strike(fake, fault, now_us);
}

static void flood(const struct fake *fake)
{
    for (int i = 0; i < 1000; i++)
        fprintf(stderr, "[h264 @ 0x55] [warning] frame %" PRId64 ": macroblock %d is damaged\n",
            fake->frames, i);
    fflush(stderr);
}

// --- Life ---

static int pipe_number(const char *text)
{
    return strncmp(text, "pipe:", 5) == 0 ? (int)strtol(text + 5, NULL, 10) : -1;
}

// The control file's name comes from the pattern: …/CAMERA/STREAM/RUN-%06d.mp4.
static char *control_path(const char *pattern)
{
    const char *folder = getenv("FAKEFFMPEG_CONTROL");
    if (folder == NULL)
        return NULL;
    char *copy = xstrdup(pattern), *part[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(copy, '/');
        if (slash == NULL)
            fail("the pattern names no stream");
        *slash = '\0';
        part[i] = slash + 1;
    }
    char *path = xasprintf("%s/%s-%s", folder, part[2], part[1]);
    free(copy);
    return path;
}

static void parse(struct fake *fake, int argc, char **argv)
{
    *fake = (struct fake){.script_fd = -1, .progress_fd = -1};
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "-i") == 0)
            fake->script_fd = pipe_number(argv[i + 1]);
        else if (strcmp(argv[i], "-progress") == 0)
            fake->progress_fd = pipe_number(argv[i + 1]);
        else if (strcmp(argv[i], "-segment_time") == 0)
            fake->segment_us = (int64_t)(strtod(argv[i + 1], NULL) * US_PER_SECOND);
    }
    if (fake->script_fd < 0 || fake->progress_fd < 0 || fake->segment_us <= 0)
        fail("this is not the command of a recorder");
    fake->pattern = argv[argc - 1];
    fake->control = control_path(fake->pattern);
}

static void read_script(const struct fake *fake)
{
    char script[65536];
    size_t length = 0;
    ssize_t got;
    while ((got = read(fake->script_fd, script + length, sizeof(script) - 1 - length)) > 0)
        length += (size_t)got;
    script[length] = '\0';
    close(fake->script_fd);
    if (strncmp(script, "ffconcat version 1.0\n", 21) != 0 ||
        strstr(script, "\nfile 'rtsp") == NULL)
        fail("the script names no camera");
}

int main(int argc, char **argv)
{
    struct fake fake;
    if (argc == 2 && strcmp(argv[1], "-version") == 0) {
        puts("ffmpeg version 5.1-fake: a test tool of Keepframe that records nothing");
        return 0;
    }
    setvbuf(stderr, NULL, _IOFBF, 16384); // a flood in few writes
    parse(&fake, argc, argv);
    read_script(&fake);
    read_header(&fake);
    const struct sigaction action = {.sa_handler = terminate};
    sigaction(SIGTERM, &action, NULL);
    fake.start_us = fake.progress_us = time_monotonic_us();
    while (!is_told_to_end) {
        int64_t now_us = time_monotonic_us();
        obey(&fake, now_us);
        if (!fake.is_stalled) {
            record(&fake, now_us);
            tell_progress(&fake, now_us);
        }
        if (now_us < fake.flood_until_us)
            flood(&fake);
        nanosleep(&(struct timespec){.tv_nsec = STEP_US * 1000}, NULL);
    }
    if (fake.file != NULL)
        fclose(fake.file);
    return 255; // as ffmpeg's after a SIGTERM
}
