/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* spool.c: every result survives; a line that no worker would write is refused. */
#include "model/spool.h"

#include <string.h>

static void assert_equal(const TaskResult *a, const TaskResult *b)
{
    g_assert_cmpuint(a->task, ==, b->task);
    g_assert_cmpuint(a->fence, ==, b->fence);
    g_assert_cmpint(a->outcome, ==, b->outcome);
    g_assert_cmpint(a->exit_status, ==, b->exit_status);
    g_assert_cmpint(a->signal, ==, b->signal);
    g_assert_cmpint(a->error, ==, b->error);
    g_assert_cmpuint(a->start_usec, ==, b->start_usec);
    g_assert_cmpuint(a->end_usec, ==, b->end_usec);
    g_assert_cmpuint(a->cpu_nsec, ==, b->cpu_nsec);
    g_assert_cmpuint(a->memory_peak_bytes, ==, b->memory_peak_bytes);
    g_assert_true(a->stderr_tail ? b->stderr_tail && g_bytes_equal(a->stderr_tail, b->stderr_tail) : !b->stderr_tail);
    g_assert_true(a->data ? b->data && g_bytes_equal(a->data, b->data) : !b->data);
    g_assert_cmpstr(a->note, ==, b->note);
    g_assert_cmpint(a->oom_cause, ==, b->oom_cause);
    for (int i = 0; i < _STREAM_MAX; i++) {
        g_assert_cmpuint(a->dropped_bytes[i], ==, b->dropped_bytes[i]);
        g_assert_cmpint(a->places[i].packed, ==, b->places[i].packed);
        g_assert_cmpuint(a->places[i].offset, ==, b->places[i].offset);
        g_assert_cmpuint(a->places[i].size, ==, b->places[i].size);
    }
}

static void assert_survives(const TaskResult *result)
{
    g_autoptr(GString) text = g_string_new(NULL);
    TaskResult back;

    spool_append_line(text, result);
    g_assert_true(strchr(text->str, '\n') == text->str + text->len - 1);
    g_string_truncate(text, text->len - 1);
    memset(&back, 0x55, sizeof back);
    g_assert_cmpint(spool_parse_line(text->str, &back), ==, 0);
    assert_equal(result, &back);
    task_result_done(&back);
}

static void test_further(void)
{
    TaskResult full = { .task = 1, .outcome = OUTCOME_TIMEOUT, .data = g_bytes_new("\0 \n=\xff", 5),
                        .stderr_tail = g_bytes_new("two\nlines", 9), .note = g_strdup("its result has 1.0G, über 64K"),
                        .dropped_bytes = { 0, 1, UINT64_MAX }, .places = { { 0 }, { true, 7, 0 }, { true, 0, 9 } } };
    TaskResult large = { .task = 2, .outcome = OUTCOME_EXITED,
                         .data = g_bytes_new_take(g_malloc0(RESULT_BYTES_MAX), RESULT_BYTES_MAX) };

    for (OomCause cause = 0; cause < _OOM_CAUSE_MAX; cause++) {
        TaskResult oom = { .task = 3, .outcome = OUTCOME_OOM, .signal = 9, .oom_cause = cause };
        assert_survives(&oom);
    }
    assert_survives(&full);
    assert_survives(&large);
    task_result_done(&full);
    task_result_done(&large);
}

/* A note is made of what others say, and must not cost the result. */
static void test_note(void)
{
    g_autofree char *long_text = g_strnfill(400, 'n');
    TaskResult result = { .task = 1, .outcome = OUTCOME_EXITED }, back;
    g_autoptr(GString) raw = g_string_new(NULL);

    result_add_note(&result, "one\n\x1b");
    result_add_note(&result, "two \xff");
    g_assert_cmpstr(result.note, ==, "one  ; two \xef\xbf\xbd");
    result_add_note(&result, long_text);
    g_assert_cmpuint(strlen(result.note), ==, NOTE_BYTES_MAX);
    assert_survives(&result);
    g_free(result.note);
    result.note = g_strconcat("a\nb", long_text, NULL);
    spool_append_line(raw, &result);
    g_assert_cmpint(spool_parse_line(g_strchomp(raw->str), &back), ==, 0);
    g_assert_true(g_str_has_prefix(back.note, "a bnnn"));
    task_result_done(&back);
    task_result_done(&result);
}

static void test_bad_further(void)
{
    static const char *const bad[] = {
        "x", "data", "data=", "data=!!!!", "dropped=1", "dropped=1,2,3", "dropped=-1,2", "stdout=1,x", "stdout=9223372036854775807,1",
        "stderr=1", "note=", "note=/w==", "note=Cg==", "data=eA== x", "data=eA== data=", "note=eA== stdout=", "tail=",
        "oom=", "oom=somebody",
    };
    static const char *const good[] = { "later=1", "data=eA==", "data=eA== data=eQ==", "note=eA== note=eQ==", "stdout=1,2 stdout=3,4", "tail=eA==" };
    g_autofree char *text = g_strnfill((RESULT_BYTES_MAX / 3 + 1) * 4, 'A');
    g_autofree char *line = g_strconcat("1 2 exited 0 0 0 3 4 5 6 data=", text, NULL);
    TaskResult result = { .task = 77 };

    g_assert_cmpint(spool_parse_line(line, &result), ==, -EINVAL);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_free(line);
        line = g_strconcat("1 2 exited 0 0 0 3 4 5 6 ", bad[i], NULL);
        if (spool_parse_line(line, &result) != -EINVAL)
            g_error("\"%s\" is taken", line);
        g_assert_cmpuint(result.task, ==, 77);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_free(line);
        line = g_strconcat("1 2 exited 0 0 0 3 4 5 6 ", good[i], NULL);
        if (spool_parse_line(line, &result) != 0)
            g_error("\"%s\" is not taken", line);
        task_result_done(&result);
    }
}

static void test_round_trip(void)
{
    for (int outcome = OUTCOME_EXITED; outcome < _OUTCOME_MAX; outcome++) {
        TaskResult result = { UINT64_MAX - 2, UINT64_MAX - 1, (Outcome) outcome, 255, 9, 2, 1, UINT64_MAX - 3, 0, MEMORY_UNKNOWN, NULL, NULL, NULL, { 0 }, { { 0 } } }, back;
        g_autoptr(GString) text = g_string_new(NULL);

        spool_append_line(text, &result);
        g_assert_true(strchr(text->str, '\n') == text->str + text->len - 1);
        g_string_truncate(text, text->len - 1);
        memset(&back, 0x55, sizeof back);
        g_assert_cmpint(spool_parse_line(text->str, &back), ==, 0);
        assert_equal(&result, &back);
    }
}

static void test_lines(void)
{
    static const struct { const char *line; int r; } cases[] = {
        { "1 2 exited 0 0 0 3 4 5 6", 0 },
        { "18446744073709551615 1 exited 0 0 0 3 4 5 18446744073709551615", 0 },
        { "", -EINVAL }, { "1", -EINVAL }, { "1 2 exited 0 0 0 3 4 5", -EINVAL }, { "1 2 exited 0 0 0 3 4 5 6 7", -EINVAL },
        { "1 2 exited 0 0 0 3 4 5 6 ", -EINVAL }, { " 1 2 exited 0 0 0 3 4 5 6", -EINVAL }, { "1  2 exited 0 0 0 3 4 5 6", -EINVAL },
        { "1\t2 exited 0 0 0 3 4 5 6", -EINVAL }, { "1 2 exited 0 0 0 3 4 5 6x", -EINVAL }, { "-1 2 exited 0 0 0 3 4 5 6", -EINVAL },
        { "+1 2 exited 0 0 0 3 4 5 6", -EINVAL }, { "1 2 exited 0x1 0 0 3 4 5 6", -EINVAL }, { "1 2 exited -1 0 0 3 4 5 6", -EINVAL },
        { "1 2 exited 2147483648 0 0 3 4 5 6", -EINVAL }, { "1 2 exited 0 0 0 3 4 5 18446744073709551616", -EINVAL },
        { "1 2 exited 0 0 0 3 4 5 99999999999999999999999", -EINVAL }, { "1 2  0 0 0 3 4 5 6", -EINVAL }, { "1 2 none 0 0 0 3 4 5 6", -EINVAL },
        { "1 2 EXITED 0 0 0 3 4 5 6", -EINVAL }, { "1 2 exitedexitedexitedexited 0 0 0 3 4 5 6", -EINVAL },
        { "1 2 1 0 0 0 3 4 5 6", -EINVAL }, { "\xff 2 exited 0 0 0 3 4 5 6", -EINVAL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        TaskResult result = { .task = 77 };
        int r = spool_parse_line(cases[i].line, &result);
        if (r != cases[i].r)
            g_error("\"%s\" gives %d", cases[i].line, r);
        if (r < 0)
            g_assert_cmpuint(result.task, ==, 77);
    }
}

static void test_mutated(void)
{
    static const char line[] = "123 45 spawn-failed 1 15 2 1700000000000000 1700000001000000 5000000 123456789";

    for (unsigned i = 0; i < 20000; i++) {
        g_autofree char *copy = g_strndup(line, (gsize) g_test_rand_int_range(0, sizeof line));
        size_t n = strlen(copy);
        if (n > 0)
            copy[g_test_rand_int_range(0, (gint32) n)] = (char) g_test_rand_int();
        TaskResult result = { .task = 77 };
        if (spool_parse_line(copy, &result) < 0)
            g_assert_cmpuint(result.task, ==, 77);
        else
            g_assert_cmpint(result.outcome, >, OUTCOME_NONE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spool/round-trip", test_round_trip);
    g_test_add_func("/spool/lines", test_lines);
    g_test_add_func("/spool/further", test_further);
    g_test_add_func("/spool/note", test_note);
    g_test_add_func("/spool/bad-further", test_bad_further);
    g_test_add_func("/spool/mutated", test_mutated);
    return g_test_run();
}
