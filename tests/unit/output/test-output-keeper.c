/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* output-keeper.c: the thread and its rounds. */
#include "output/output-keeper.h"

#include <fcntl.h>
#include <sys/stat.h>

typedef struct Fixture {
    char *directory, *file, *other;
    sd_event *event;
    OutputKeeper *keeper;
    unsigned asked;
} Fixture;

static GArray *on_active(void *userdata)
{
    GArray *active = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    const uint64_t ids[] = { 9, 2 };

    ((Fixture *) userdata)->asked++;
    return g_array_append_vals(active, ids, G_N_ELEMENTS(ids));
}

static char *make_old(Fixture *f, const char *name)
{
    static const struct timespec times[] = { { 1000000000, 0 }, { 1000000000, 0 } };
    char *path = g_build_filename(f->directory, "0", name, NULL);

    g_assert_true(g_file_set_contents(path, "text", -1, NULL));
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
    return path;
}

static void set_up(Fixture *f, const void *data)
{
    g_autofree char *folder = NULL;

    f->directory = g_dir_make_tmp("parexec-keeper-XXXXXX", NULL);
    folder = g_build_filename(f->directory, "0", NULL);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    f->file = make_old(f, "1.1.out");
    f->other = make_old(f, "2.1.out");
    g_assert_cmpint(sd_event_new(&f->event), >=, 0);
    g_assert_cmpint(output_keeper_new(f->event, f->directory, on_active, f, &f->keeper), ==, 0);
}

static void tear_down(Fixture *f, const void *data)
{
    const char *const argv[] = { "rm", "-rf", "--", f->directory, NULL };

    f->keeper = output_keeper_free(f->keeper);
    sd_event_unref(f->event);
    g_assert_true(
        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(f->directory);
    g_free(f->file);
    g_free(f->other);
}

static void wait_for_end(const char *path)
{
    for (int i = 0; g_file_test(path, G_FILE_TEST_EXISTS); i++) {
        g_assert_cmpint(i, <, 1000);
        g_usleep(10 * 1000);
    }
}

static void test_round(Fixture *f, const void *data)
{
    output_keeper_set_limits(f->keeper, USEC_PER_SEC, UINT64_MAX);
    output_keeper_wake(f->keeper);
    g_assert_cmpuint(f->asked, ==, 1);
    wait_for_end(f->file);
    g_free(f->file);
    f->file = make_old(f, "3.1.out");
    for (int i = 0; g_file_test(f->file, G_FILE_TEST_EXISTS) && i < 1000; i++) {
        output_keeper_wake(f->keeper);
        g_usleep(10 * 1000);
    }
    g_assert_false(g_file_test(f->file, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(f->other, G_FILE_TEST_EXISTS)); /* is active */
}

static void test_no_limits(Fixture *f, const void *data)
{
    output_keeper_wake(f->keeper);
    g_assert_cmpuint(f->asked, ==, 0);
    f->keeper = output_keeper_free(f->keeper);
    g_assert_true(g_file_test(f->file, G_FILE_TEST_EXISTS));
}

/* Its end does not wait for a round. */
static void test_end(Fixture *f, const void *data)
{
    gint64 begin;

    for (int i = 0; i < 3000; i++) {
        g_autofree char *name = g_strdup_printf("2.%d.err", i);
        g_free(make_old(f, name));
    }
    output_keeper_set_limits(f->keeper, 0, 0);
    output_keeper_wake(f->keeper);
    begin = g_get_monotonic_time();
    f->keeper = output_keeper_free(f->keeper);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, G_TIME_SPAN_SECOND);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/output-keeper/round", Fixture, NULL, set_up, test_round, tear_down);
    g_test_add("/output-keeper/no-limits", Fixture, NULL, set_up, test_no_limits, tear_down);
    g_test_add("/output-keeper/end", Fixture, NULL, set_up, test_end, tear_down);
    return g_test_run();
}
