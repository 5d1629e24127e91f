/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* output-sweep.c: what goes and what stays. */
#include "output/output-sweep.h"

#include <fcntl.h>
#include <sys/stat.h>

#define HOUR (3600 * USEC_PER_SEC)
#define DAY (24 * HOUR)
#define KIB UINT64_C(1024)

typedef struct Fixture {
    char *directory;
    OutputSweep sweep;
    OutputSwept swept;
    unsigned pauses, pauses_max;
} Fixture;

static void set_up(Fixture *f, const void *data)
{
    f->directory = g_dir_make_tmp("parexec-sweep-XXXXXX", NULL);
    f->sweep = (OutputSweep) { .directory = f->directory, .now_usec = (uint64_t) g_get_real_time(),
                               .keep_usec = UINT64_MAX, .quota_bytes = UINT64_MAX };
}

static void tear_down(Fixture *f, const void *data)
{
    const char *const argv[] = { "rm", "-rf", "--", f->directory, NULL };

    g_assert_true(
        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(f->directory);
}

static void set_age(Fixture *f, const char *path, uint64_t age_usec)
{
    uint64_t written = f->sweep.now_usec - age_usec;
    const struct timespec times[] = { { (time_t) (written / USEC_PER_SEC), 0 }, { (time_t) (written / USEC_PER_SEC), 0 } };

    g_assert_cmpint(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), ==, 0);
}

/* A file of 8 KiB on disk. */
static void make(Fixture *f, const char *name, uint64_t age_usec)
{
    g_autofree char *path = g_build_filename(f->directory, name, NULL), *folder = g_path_get_dirname(path),
                    *text = g_strnfill(8 * KIB, 'x');

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    set_age(f, path, age_usec);
}

static bool exists(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->directory, name, NULL);
    struct stat st;

    return lstat(path, &st) >= 0;
}

static void test_age(Fixture *f, const void *data)
{
    static const char *const strangers[] = { "0/core", "0/1.1.log", "0/1.out", "0/x.1.out", "0/wx.pack", "0/1.1.out.old",
                                             "0/1.1.out.new.new", "notes/1.1.out", "0/-1.1.out" };

    f->sweep.keep_usec = 7 * DAY;
    make(f, "0/1.1.out", 8 * DAY);
    make(f, "0/1.1.err", 6 * DAY);
    make(f, "0/2.1.out.new", 8 * DAY);
    make(f, "0/w1.pack", 8 * DAY);
    make(f, "0/w2.pack", 6 * DAY); /* its newest record is young */
    make(f, "3/30000.1.out", 8 * DAY);
    for (size_t i = 0; i < G_N_ELEMENTS(strangers); i++)
        make(f, strangers[i], 800 * DAY);
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_false(exists(f, "0/1.1.out"));
    g_assert_true(exists(f, "0/1.1.err"));
    g_assert_false(exists(f, "0/2.1.out.new"));
    g_assert_false(exists(f, "0/w1.pack"));
    g_assert_true(exists(f, "0/w2.pack"));
    g_assert_false(exists(f, "3"));
    for (size_t i = 0; i < G_N_ELEMENTS(strangers); i++)
        if (!exists(f, strangers[i]))
            g_error("%s is gone", strangers[i]);
    g_assert_cmpuint(f->swept.removed_files, ==, 4);
    g_assert_cmpuint(f->swept.kept_bytes, ==, 16 * KIB);
}

static void test_active(Fixture *f, const void *data)
{
    g_autoptr(GArray) active = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    const uint64_t ids[] = { 20001, 3, UINT64_MAX };

    g_array_append_vals(active, ids, G_N_ELEMENTS(ids));
    output_sweep_sort(active);
    f->sweep.active = active;
    f->sweep.keep_usec = DAY;
    make(f, "0/2.1.out", 2 * DAY);
    make(f, "0/3.1.out", 2 * DAY);
    make(f, "0/4.1.out", 2 * DAY);
    make(f, "0/w1.pack", 2 * DAY); /* an earlier attempt of 3 may be in it */
    make(f, "1/w1.pack", 2 * DAY);
    make(f, "2/20001.2.err", 2 * DAY);
    make(f, "1844674407370955/18446744073709551615.1.out", 2 * DAY);
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_false(exists(f, "0/2.1.out"));
    g_assert_true(exists(f, "0/3.1.out"));
    g_assert_false(exists(f, "0/4.1.out"));
    g_assert_true(exists(f, "0/w1.pack"));
    g_assert_false(exists(f, "1/w1.pack"));
    g_assert_true(exists(f, "2/20001.2.err"));
    g_assert_true(exists(f, "1844674407370955/18446744073709551615.1.out"));
}

/* The lowest folder first, by number and not by name; and not more than must go. */
static void test_quota(Fixture *f, const void *data)
{
    f->sweep.quota_bytes = 20 * KIB;
    make(f, "10/100000.1.out", HOUR);
    make(f, "9/90000.1.out", HOUR);
    make(f, "9/90001.1.out", HOUR);
    make(f, "2/20000.1.out", USEC_PER_SEC); /* may just be written */
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_true(exists(f, "2/20000.1.out"));
    g_assert_false(exists(f, "9"));
    g_assert_true(exists(f, "10/100000.1.out"));
    g_assert_cmpuint(f->swept.kept_bytes, ==, 16 * KIB);
    g_assert_cmpuint(f->swept.removed_bytes, ==, 16 * KIB);
    f->sweep.quota_bytes = 0;
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_cmpuint(f->swept.kept_bytes, ==, 8 * KIB);
    g_assert_false(exists(f, "10"));
}

/* Links are not followed, neither as folders nor as files. */
static void test_links(Fixture *f, const void *data)
{
    g_autofree char *outside = g_dir_make_tmp("parexec-sweep-XXXXXX", NULL), *folder = g_build_filename(f->directory, "5", NULL),
                    *link = g_build_filename(f->directory, "0", "7.1.out", NULL),
                    *victim = g_build_filename(outside, "50000.1.out", NULL);

    make(f, "0/8.1.out", DAY);
    g_assert_true(g_file_set_contents(victim, "keep", -1, NULL));
    set_age(f, victim, 2 * DAY);
    g_assert_cmpint(symlink(outside, folder), ==, 0);
    g_assert_cmpint(symlink(victim, link), ==, 0);
    set_age(f, link, 2 * DAY);
    f->sweep.keep_usec = HOUR;
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_true(g_file_test(victim, G_FILE_TEST_EXISTS));
    g_assert_false(exists(f, "0"));
    g_assert_cmpint(unlink(victim), ==, 0);
    g_assert_cmpint(rmdir(outside), ==, 0);
}

static bool on_pause(void *userdata)
{
    Fixture *f = userdata;

    return ++f->pauses < f->pauses_max;
}

static void test_steps(Fixture *f, const void *data)
{
    f->sweep.pause = on_pause;
    f->sweep.userdata = f;
    f->pauses_max = 2;
    f->sweep.keep_usec = HOUR;
    for (int i = 0; i < 1000; i++) {
        g_autofree char *name = g_strdup_printf("0/%d.1.out", i);
        make(f, name, DAY);
    }
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, -ECANCELED);
    g_assert_cmpuint(f->pauses, ==, 2);
    g_assert_true(exists(f, "0"));
    f->pauses_max = UINT_MAX;
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    g_assert_false(exists(f, "0"));
}

static void test_nothing(Fixture *f, const void *data)
{
    g_autofree char *missing = g_build_filename(f->directory, "missing", NULL);

    f->sweep.keep_usec = f->sweep.quota_bytes = 0;
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, 0);
    f->sweep.directory = missing;
    g_assert_cmpint(output_sweep_run(&f->sweep, &f->swept), ==, -ENOENT);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/output-sweep/age", Fixture, NULL, set_up, test_age, tear_down);
    g_test_add("/output-sweep/active", Fixture, NULL, set_up, test_active, tear_down);
    g_test_add("/output-sweep/quota", Fixture, NULL, set_up, test_quota, tear_down);
    g_test_add("/output-sweep/links", Fixture, NULL, set_up, test_links, tear_down);
    g_test_add("/output-sweep/steps", Fixture, NULL, set_up, test_steps, tear_down);
    g_test_add("/output-sweep/nothing", Fixture, NULL, set_up, test_nothing, tear_down);
    return g_test_run();
}
