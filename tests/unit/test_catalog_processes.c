// One writer and readers in processes of their own, the readers as another user who may write
// nothing: while the writer lives, after it was killed, when a new one has come, after a clean
// stop. This process opens no database, so that nothing of SQLite's state is shared by a fork.
#include "tests/unit/catalog.h"

#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

enum {
    READER_UID = 65534,
    ADDED_AT_ONCE = 150,
};

// A process that does what it is told, one letter at a time, and answers each with a number.
struct peer {
    pid_t pid;
    int to, from;
};

struct peer_state {
    struct fixture fixture;
    uint32_t next;
};

// A status as an answer.
static int answer(enum catalog_status status)
{
    return status == CATALOG_OK ? 0 : -1 - (int)status;
}

static int writer_add(struct peer_state *state)
{
    struct catalog_segment segment =
        test_segment(&state->fixture, NOON_US + state->next * 1000, 1000000, state->next);
    state->next++;
    enum catalog_status status = segment_add(&state->fixture, &segment);
    catalog_segment_fini(&segment);
    return answer(status);
}

static int writer_open(struct peer_state *state)
{
    struct fixture *fixture = &state->fixture;
    struct catalog_stream stream;
    fixture->catalog = catalog_open_writer(fixture->directory, &cause);
    if (fixture->catalog == NULL)
        return answer(CATALOG_ERROR);
    if (catalog_begin(fixture->catalog, &cause) != CATALOG_OK ||
        catalog_stream_add(fixture->catalog, "yard", "main", &fixture->stream_id, &cause) !=
            CATALOG_OK ||
        catalog_volume_add(fixture->catalog, "00000000-0000-4000-8000-000000000001", "/srv/video",
            &fixture->volume_id, &cause) != CATALOG_OK ||
        catalog_codec_add(fixture->catalog, test_entry, sizeof(test_entry), &fixture->codec_id,
            &cause) != CATALOG_OK ||
        catalog_commit(fixture->catalog, &cause) != CATALOG_OK ||
        catalog_stream_find(fixture->catalog, "yard", "main", &stream, &cause) != CATALOG_OK)
        return answer(CATALOG_ERROR);
    state->next = (uint32_t)stream.segments;
    return 0;
}

static int reader_count(struct peer_state *state)
{
    struct catalog_segments found;
    enum catalog_status status =
        catalog_segments_in(state->fixture.catalog, 1, 0, INT64_MAX, INT64_MIN, 0, &found, &cause);
    if (status != CATALOG_OK)
        return answer(status);
    int count = (int)found.count;
    catalog_segments_fini(&found);
    return count;
}

// Reads all the time until all are there that the writer adds at once. Every answer must have what
// earlier ones had.
static int reader_watch(struct peer_state *state)
{
    int before = 0;
    while (before < ADDED_AT_ONCE) {
        int now = reader_count(state);
        if (now < before)
            return now < 0 ? now : -100;
        before = now;
    }
    return before;
}

static int peer_do(struct peer_state *state, char what)
{
    switch (what) {
    case 'W':
        return writer_open(state);
    case 'a':
        return writer_add(state);
    case 'A':
        for (int i = 0; i < ADDED_AT_ONCE; i++)
            if (writer_add(state) != 0)
                return -100;
        return 0;
    case 'R':
        return answer(
            catalog_open_reader(state->fixture.directory, &state->fixture.catalog, &cause));
    case 'n':
        return reader_count(state);
    case 'N':
        return reader_watch(state);
    case 'c':
        catalog_close(state->fixture.catalog);
        state->fixture.catalog = NULL;
        return 0;
    default:
        return -200;
    }
}

static void peer_serve(const char *directory, int from, int to)
{
    struct peer_state state = {0};
    char what;
    snprintf(state.fixture.directory, sizeof(state.fixture.directory), "%s", directory);
    while (read(from, &what, 1) == 1) {
        int reply = peer_do(&state, what);
        if (write(to, &reply, sizeof(reply)) != sizeof(reply))
            break;
    }
    _exit(0);
}

static struct peer peer_start(const char *directory, bool reader)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        // Not the pipes of other peers either: their ends would never be seen.
        for (int fd = 3; fd < 64; fd++) {
            if (fd != to[0] && fd != from[1])
                close(fd);
        }
        // Our group's files can be read; nothing can be written.
        if (reader && geteuid() == 0 &&
            (setgroups(0, NULL) < 0 || setresuid(READER_UID, READER_UID, READER_UID) < 0))
            _exit(1);
        peer_serve(directory, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (struct peer){pid, to[1], from[0]};
}

static void tell(const struct peer *peer, char what)
{
    assert_int_equal(write(peer->to, &what, 1), 1);
}

static int hear(const struct peer *peer)
{
    int reply;
    assert_int_equal(read(peer->from, &reply, sizeof(reply)), sizeof(reply));
    return reply;
}

static int ask(const struct peer *peer, char what)
{
    tell(peer, what);
    return hear(peer);
}

static void peer_kill(struct peer *peer)
{
    assert_int_equal(kill(peer->pid, SIGKILL), 0);
    assert_int_equal(waitpid(peer->pid, NULL, 0), peer->pid);
    close(peer->to);
    close(peer->from);
}

static void peer_stop(struct peer *peer)
{
    int status;
    close(peer->to);
    assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(peer->from);
}

static int folder_make(void **state)
{
    char *directory = xstrdup("/tmp/test_catalog.XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, 0750), 0);
    *state = directory;
    return 0;
}

static int folder_free(void **state)
{
    directory_remove(*state);
    free(*state);
    return 0;
}

// What a reader finds that comes now.
static int newcomer(const char *directory)
{
    struct peer reader = peer_start(directory, true);
    int reply = ask(&reader, 'R');
    if (reply == 0)
        reply = ask(&reader, 'n');
    peer_stop(&reader);
    return reply;
}

static void another_user_reads_whatever_becomes_of_the_writer(void **state)
{
    const char *directory = *state;
    struct peer writer = peer_start(directory, false), reader = peer_start(directory, true);
    assert_int_equal(ask(&reader, 'R'), answer(CATALOG_BUSY)); // nothing there yet
    assert_int_equal(ask(&writer, 'W'), 0);
    assert_int_equal(ask(&writer, 'a'), 0);
    assert_int_equal(ask(&reader, 'R'), 0);
    assert_int_equal(ask(&reader, 'n'), 1);
    assert_int_equal(ask(&writer, 'a'), 0);
    assert_int_equal(ask(&reader, 'n'), 2);
    assert_int_equal(newcomer(directory), 2);

    peer_kill(&writer);
    assert_int_equal(ask(&reader, 'n'), 2);
    assert_int_equal(newcomer(directory), 2);

    writer = peer_start(directory, false);
    assert_int_equal(ask(&writer, 'W'), 0);
    assert_int_equal(ask(&reader, 'n'), 2);
    assert_int_equal(ask(&writer, 'a'), 0);
    assert_int_equal(ask(&reader, 'n'), 3);
    assert_int_equal(newcomer(directory), 3);

    assert_int_equal(ask(&writer, 'c'), 0);
    assert_int_equal(ask(&reader, 'n'), 3);
    assert_int_equal(newcomer(directory), 3);
    peer_stop(&writer);
    assert_int_equal(ask(&reader, 'n'), 3);
    assert_int_equal(ask(&reader, 'c'), 0);
    assert_int_equal(newcomer(directory), 3);

    // A writer that comes after the last reader has gone, and is killed with nobody there.
    writer = peer_start(directory, false);
    assert_int_equal(ask(&writer, 'W'), 0);
    assert_int_equal(ask(&writer, 'a'), 0);
    peer_kill(&writer);
    assert_int_equal(newcomer(directory), 4);
    assert_int_equal(ask(&reader, 'R'), 0);
    assert_int_equal(ask(&reader, 'n'), 4);
    peer_stop(&reader);
}

static void readers_are_never_held_up_or_sent_back(void **state)
{
    const char *directory = *state;
    struct peer writer = peer_start(directory, false), readers[2];
    assert_int_equal(ask(&writer, 'W'), 0);
    for (size_t i = 0; i < 2; i++) {
        readers[i] = peer_start(directory, true);
        assert_int_equal(ask(&readers[i], 'R'), 0);
        tell(&readers[i], 'N');
    }
    assert_int_equal(ask(&writer, 'A'), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(hear(&readers[i]), ADDED_AT_ONCE);
        peer_stop(&readers[i]);
    }
    peer_stop(&writer);
}

static void a_reader_without_an_index_is_told_to_come_again(void **state)
{
    const char *directory = *state;
    if (geteuid() != 0)
        skip(); // its own user's reader would make one
    struct peer writer = peer_start(directory, false);
    assert_int_equal(ask(&writer, 'W'), 0);
    assert_int_equal(ask(&writer, 'a'), 0);
    assert_int_equal(ask(&writer, 'c'), 0);
    char *index = xasprintf("%s/catalog.db-shm", directory);
    assert_int_equal(unlink(index), 0);
    free(index);
    assert_int_equal(newcomer(directory), answer(CATALOG_BUSY));
    // The next writer makes one.
    assert_int_equal(ask(&writer, 'W'), 0);
    assert_int_equal(newcomer(directory), 1);
    peer_stop(&writer);
}

int main(void)
{
#define PROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_free)
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(another_user_reads_whatever_becomes_of_the_writer),
        PROCESS_TEST(readers_are_never_held_up_or_sent_back),
        PROCESS_TEST(a_reader_without_an_index_is_told_to_come_again),
    };
    alarm(300); // a peer that hangs must not hang the rest
    return cmocka_run_group_tests(tests, NULL, NULL);
}
