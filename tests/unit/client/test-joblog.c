/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of job logs, and which numbers they hold. */

#include "client/joblog.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_line(void)
{
    char *argv[] = { (char *) "echo", (char *) "a b", NULL };
    static const struct {
        TaskState state;
        Outcome outcome;
        int status, signal;
        const char *end;
    } cases[] = {
        { TASK_SUCCEEDED, OUTCOME_EXITED, 0, 0, "\t0\t0\t0\t0\techo 'a b'\n" },
        { TASK_FAILED, OUTCOME_EXITED, 3, 0, "\t0\t0\t3\t0\techo 'a b'\n" },
        { TASK_FAILED, OUTCOME_SIGNALLED, 0, 15, "\t0\t0\t0\t15\techo 'a b'\n" },
        { TASK_FAILED, OUTCOME_OOM, 0, 9, "\t0\t0\t0\t9\techo 'a b'\n" },
        { TASK_FAILED, OUTCOME_TIMEOUT, 0, 0, "\t0\t0\t124\t0\techo 'a b'\n" },
        { TASK_CANCELLED, OUTCOME_ABORTED, 0, 0, "\t0\t0\t1\t0\techo 'a b'\n" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        TaskInfo info;
        task_info_init(&info);
        info.state = cases[i].state;
        info.outcome = cases[i].outcome;
        info.exit_status = cases[i].status;
        info.signal = cases[i].signal;
        info.argv = argv;
        info.started_usec = UINT64_C(1700000000123000);
        info.finished_usec = info.started_usec + 1500 * USEC_PER_MSEC;
        g_autofree char *line = joblog_line(7, "host", &info);
        g_assert_true(g_str_has_prefix(line, "7\thost\t1700000000.123\t     1.500\t"));
        g_assert_true(g_str_has_suffix(line, cases[i].end));
        info.started_usec = 0;
        g_assert_null(joblog_line(7, "host", &info));
    }
}

static int read_text(const char *text, bool failed_too, GHashTable *seqs)
{
    g_autofree char *path = g_strdup_printf("%s/parexec-joblog-%d", g_get_tmp_dir(), getpid());

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    int r = joblog_read(path, failed_too, seqs);
    g_assert_cmpint(g_unlink(path), ==, 0);
    return r;
}

static bool has(GHashTable *seqs, uint64_t seq)
{
    return g_hash_table_contains(seqs, &seq);
}

static void test_read(void)
{
    static const char log[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
                              "1\th\t1\t1\t0\t0\t0\t0\techo\n"
                              "3\th\t1\t1\t0\t0\t2\t0\techo\tx\n"
                              "4\th\t1\t1\t0\t0\t0\t9\techo\n"
                              "5\th\t1\t1\t0\t0\t1\t0\techo\n"
                              "5\th\t1\t1\t0\t0\t0\t0\techo\n";
    g_autoptr(GHashTable) all = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GHashTable) good = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    g_assert_cmpint(read_text(log, true, all), ==, 0);
    g_assert_true(has(all, 1) && !has(all, 2) && has(all, 3) && has(all, 4) && has(all, 5));
    g_assert_cmpint(read_text(log, false, good), ==, 0);
    g_assert_true(has(good, 1) && !has(good, 3) && !has(good, 4) && has(good, 5));
    g_assert_cmpint(read_text("root:x:0:0\n", false, good), ==, -EBADMSG);
    g_assert_cmpint(joblog_read("/nonexistent/log", false, good), ==, -ENOENT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/joblog/line", test_line);
    g_test_add_func("/joblog/read", test_read);
    return g_test_run();
}
