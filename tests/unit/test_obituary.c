// links: kf-supervisor
// What is known of an end, and what is made of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/logcap.h"
#include "supervisor/obituary.h"

// As waitpid(2) gives them.
enum {
    EXIT_0 = 0,
    EXIT_1 = 1 << 8,
    EXIT_255 = 255 << 8,
    SIGNAL_9 = 9,
};

static void test_ends(void **state)
{
    static const struct {
        int status;
        enum reason ended_as;
        const char *clue; // a line that explains, or NULL
        const char *last;
        const char *line;
        const char *words;
    } table[] = {
        {EXIT_1, REASON_NONE, "401 Unauthorized", "conversion failed",
            "door/main: ffmpeg ended with 1 after 2.5 s and 7 frames (unauthorized): 401 "
            "Unauthorized",
            "401 Unauthorized"},
        {EXIT_1, REASON_NONE, NULL, "what is this",
            "door/main: ffmpeg ended with 1 after 2.5 s and 7 frames (unknown): what is this",
            "what is this"},
        {EXIT_0, REASON_NONE, NULL, NULL,
            "door/main: ffmpeg ended with 0 after 2.5 s and 7 frames (closed)", NULL},
        {EXIT_0, REASON_NONE, "Connection timed out", "x",
            "door/main: ffmpeg ended with 0 after 2.5 s and 7 frames (timeout): Connection timed "
            "out",
            "Connection timed out"},
        {SIGNAL_9, REASON_NONE, NULL, "an hour ago",
            "door/main: ffmpeg was ended by signal 9 after 2.5 s and 7 frames (killed)", NULL},
        {SIGNAL_9, REASON_STALLED, NULL, "x",
            "door/main: ffmpeg was ended by signal 9 after 2.5 s and 7 frames (stalled)", NULL},
        {EXIT_255, REASON_STALLED, "Connection timed out", "x",
            "door/main: ffmpeg ended with 255 after 2.5 s and 7 frames (stalled): Connection "
            "timed out",
            "Connection timed out"},
        {EXIT_255, REASON_RELOAD, NULL, "Exiting normally",
            "door/main: ffmpeg ended after 2.5 s and 7 frames (reload)", NULL},
        {SIGNAL_9, REASON_STOPPED, "No space left on device", "x",
            "door/main: ffmpeg was ended by signal 9 after 2.5 s and 7 frames (stopped)", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct obituary obituary;
        struct clue clue = {0};
        if (table[i].clue != NULL)
            clue_take(&clue, table[i].clue, 0);
        const struct obituary_facts facts = {
            .camera = "door",
            .stream = "main",
            .status = table[i].status,
            .ended_as = table[i].ended_as,
            .last_line = table[i].last,
            .clue = &clue,
            .life_us = 2500000,
            .timeout_us = 5000000,
            .frames = 7,
        };
        obituary_compose(&obituary, &facts);
        assert_string_equal(obituary.line, table[i].line);
        if (table[i].words != NULL)
            assert_string_equal(obituary.words, table[i].words);
        else
            assert_null(obituary.words);
        obituary_fini(&obituary);
        clue_fini(&clue);
    }
    (void)state;
}

static void test_a_camera_that_never_answers_has_timed_out(void **state)
{
    static const char blame[] = "[error] pipe:3: Invalid data found when processing input";
    static const struct {
        int64_t life_us, timeout_us, frames;
        const char *last;
        enum reason reason;
    } table[] = {
        {5200000, 5000000, 0, blame, REASON_TIMEOUT},
        {4900000, 5000000, 0, blame, REASON_CLOSED}, // or it has answered with nonsense
        {5200000, 5000000, 9, blame, REASON_CLOSED},
        {5200000, 0, 0, blame, REASON_CLOSED},
        {5200000, 5000000, 0, "something else", REASON_UNKNOWN},
        {5200000, 5000000, 0, NULL, REASON_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct obituary obituary;
        struct clue clue = {0};
        if (table[i].last != NULL)
            clue_take(&clue, table[i].last, 0);
        const struct obituary_facts facts = {
            .camera = "door",
            .stream = "main",
            .status = EXIT_1,
            .last_line = table[i].last,
            .clue = &clue,
            .life_us = table[i].life_us,
            .timeout_us = table[i].timeout_us,
            .frames = table[i].frames,
        };
        obituary_compose(&obituary, &facts);
        assert_int_equal(obituary.reason, table[i].reason);
        const char *words =
            table[i].reason == REASON_TIMEOUT ? "the camera did not answer in time" : table[i].last;
        if (words != NULL)
            assert_string_equal(obituary.words, words);
        obituary_fini(&obituary);
        clue_fini(&clue);
    }
    (void)state;
}

// Reads a recorded end (see tests/corpus/lastwords/make) as the recorder does.
static enum reason read_end(const char *name)
{
    char *path = xasprintf(CORPUS_DIR "/lastwords/%s", name);
    FILE *file = fopen(path, "r");
    char line[1000];
    double seconds;
    int code;
    struct logcap *log = logcap_new();
    struct clue clue = {0};
    struct obituary obituary;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d after %lf s\n", &code, &seconds), 2);
    while (fgets(line, sizeof(line), file) != NULL) {
        logcap_add(log, line);
        clue_take(&clue, logcap_last(log), 0);
    }
    fclose(file);
    const struct obituary_facts facts = {
        .camera = "c",
        .stream = "main",
        .status = code < 0 ? -code : code << 8,
        .ended_as = strncmp(name, "stopped", 7) == 0 ? REASON_STOPPED : REASON_NONE,
        .last_line = logcap_last(log),
        .clue = &clue,
        .life_us = (int64_t)(seconds * 1e6),
        .timeout_us = 1000000,
    };
    obituary_compose(&obituary, &facts);
    enum reason reason = obituary.reason;
    obituary_fini(&obituary);
    clue_fini(&clue);
    logcap_free(log);
    free(path);
    return reason;
}

// The name of each file begins with the reason that must be found.
static void test_recorded_ends(void **state)
{
    DIR *entries = opendir(CORPUS_DIR "/lastwords");
    int count = 0;
    (void)state;
    assert_non_null(entries);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strstr(entry->d_name, ".txt") == NULL)
            continue;
        const char *reason = reason_name(read_end(entry->d_name));
        size_t length = strcspn(entry->d_name, "-.");
        if (strlen(reason) != length || strncmp(entry->d_name, reason, length) != 0)
            fail_msg("%s is read as %s", entry->d_name, reason);
        count++;
    }
    closedir(entries);
    assert_int_equal(count, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_a_camera_that_never_answers_has_timed_out),
        cmocka_unit_test(test_recorded_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
