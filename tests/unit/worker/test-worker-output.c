/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks print, in the real worker: limits, packs, and tasks that do strange things to their output. */
#include "worker-fixture.h"

#include <string.h>
#include <sys/stat.h>

#define LIMIT UINT64_C(1000000)
#define POLICY "output-max=1000000"

static const FakeContext limited = { .id = 1, .policy = POLICY }, merged = { .id = 2, .policy = POLICY " merge=1" };

static char *path_of(Fixture *f, uint64_t id, const char *suffix)
{
    return g_strdup_printf("%s/0/%" G_GUINT64_FORMAT ".1.%s", f->fake->record->output_directory, id, suffix);
}

static uint64_t bytes_on_disk(const char *path)
{
    struct stat st;

    return stat(path, &st) >= 0 ? (uint64_t) st.st_blocks * 512 : 0;
}

/* Binary noise as fast as it can be made: the file never holds most of it. */
static void test_noise(Fixture *f, const void *slots)
{
    const FakeTask task = { .id = 1, .context = 1,
                            .argv = SHELL("echo begin; timeout 1.5 cat /dev/urandom; echo end >&2; printf end") };
    g_autofree char *path = path_of(f, 1, "out");
    const TaskResult *result;
    uint64_t most = 0;
    struct stat st;
    char *text;

    fake_daemon_run(f->fake, &limited, 1, &task, 1);
    while (!fake_daemon_result(f->fake, 1)) {
        uint64_t bytes = bytes_on_disk(path);

        most = MAX(most, bytes);
        fake_daemon_pass(f->fake, 20 * MSEC);
    }
    result = fake_daemon_result(f->fake, 1);
    assert_outcome(result, OUTCOME_EXITED, 0, 0, 0);
    g_assert_cmpuint(result->dropped_bytes[STREAM_STDOUT], >, 10 * LIMIT);
    g_assert_cmpuint(most, <, result->dropped_bytes[STREAM_STDOUT] / 2);
    g_assert_cmpuint(result->dropped_bytes[STREAM_STDERR], ==, 0);
    g_assert_true(result->places[STREAM_STDERR].packed);
    assert_output(f, 1, "err", "end\n");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpuint((uint64_t) st.st_size, >, LIMIT);
    g_assert_cmpuint((uint64_t) st.st_size, <, LIMIT + 64); /* and the line that tells of what is dropped */
    g_assert_cmpuint((uint64_t) st.st_uid, ==, getuid());
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpmem(text, 6, "begin\n", 6);
    g_assert_cmpmem(text + st.st_size - 3, 3, "end", 3);
    g_free(text);
}

/* All that a quick one prints comes before any look. */
static void test_quick(Fixture *f, const void *slots)
{
    const TaskResult *result;

    run_in(f, &limited, 1, SHELL("head -c 1000001 /dev/zero"));
    result = fake_daemon_result(f->fake, 1);
    g_assert_cmpuint(result->dropped_bytes[STREAM_STDOUT], ==, 1);
    run_in(f, &limited, 2, SHELL("head -c 1000000 /dev/zero"));
    result = fake_daemon_result(f->fake, 2);
    g_assert_cmpuint(result->dropped_bytes[STREAM_STDOUT], ==, 0);
}

static void test_merged(Fixture *f, const void *slots)
{
    const TaskResult *result;

    run_in(f, &merged, 1, SHELL("echo a; echo b >&2; echo c; exit 3"));
    result = fake_daemon_result(f->fake, 1);
    assert_output(f, 1, "out", "a\nb\nc\n");
    assert_output(f, 1, "err", NULL);
    g_assert_cmpmem(g_bytes_get_data(result->stderr_tail, NULL), g_bytes_get_size(result->stderr_tail), "a\nb\nc\n", 6);
}

static void test_nothing(Fixture *f, const void *slots)
{
    g_autofree char *path = path_of(f, 1, "out");

    run_in(f, &limited, 1, SHELL("exit 1"));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_false(fake_daemon_result(f->fake, 1)->places[STREAM_STDOUT].packed);
}

/* The task may truncate its output, make holes in it, write from its beginning again, or remove it. */
static void test_strange(Fixture *f, const void *slots)
{
    g_autofree char *path = path_of(f, 4, "out"), *script = g_strdup_printf("echo gone; rm %s; echo still", path);

    run_in(f, &limited, 1, SHELL("head -c 3000000 /dev/zero; sleep 0.3; : > /dev/stdout; echo left"));
    assert_output(f, 1, "out", "left\n");
    run_in(f, &limited, 2, SHELL("truncate -s 1T /dev/stdout; sleep 0.3; echo end"));
    g_assert_cmpuint(fake_daemon_result(f->fake, 2)->dropped_bytes[STREAM_STDOUT], ==,
                     (UINT64_C(1) << 40) + 4 - LIMIT);
    run_in(f, &limited, 3, SHELL("head -c 2000000 /dev/zero; sleep 0.3; truncate -s 700000 /dev/stdout; sleep 0.3; echo end"));
    g_assert_cmpint(fake_daemon_result(f->fake, 3)->outcome, ==, OUTCOME_EXITED);
    run_in(f, &limited, 4, SHELL(script));
    assert_output(f, 4, "out", "gone\nstill\n");
    run_in(f, &limited, 5, SHELL("dd if=/dev/zero of=/dev/stdout bs=1M seek=100 count=1 conv=notrunc 2>/dev/null; echo x"));
    g_assert_cmpint(fake_daemon_result(f->fake, 5)->outcome, ==, OUTCOME_EXITED);
    run_in(f, &limited, 6, SHELL("echo fine"));
    assert_output(f, 6, "out", "fine\n");
}

/* Many small tasks leave one file. */
static void test_many(Fixture *f, const void *slots)
{
    enum { N = 300 };
    g_autofree char *folder = g_build_filename(f->fake->record->output_directory, "0", NULL);
    FakeTask tasks[N];
    GDir *files;
    unsigned n = 0;

    fill_tasks(tasks, N, SHELL("echo $PAREXEC_TASK_ID; echo wrong >&2"));
    fake_daemon_run(f->fake, &limited, 1, tasks, N);
    fake_daemon_wait(f->fake, fake_has_results, N);
    files = g_dir_open(folder, 0, NULL);
    while (g_dir_read_name(files))
        n++;
    g_dir_close(files);
    g_assert_cmpuint(n, ==, 1);
    assert_output(f, 1, "out", "1\n");
    assert_output(f, N, "out", "300\n");
    assert_output(f, 150, "err", "wrong\n");
}

int main(int argc, char **argv)
{
    static const WorkerTest tests[] = {
        { "noise", 1, fixture_set_up, test_noise },   { "quick", 1, fixture_set_up, test_quick },
        { "merged", 1, fixture_set_up, test_merged }, { "nothing", 1, fixture_set_up, test_nothing },
        { "strange", 1, fixture_set_up, test_strange }, { "many", 4, fixture_set_up, test_many },
    };

    return fixture_run(argc, argv, "worker-output", tests, G_N_ELEMENTS(tests));
}
