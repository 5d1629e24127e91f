/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup-files.c: mounts and membership as text, directories, and groups as a plain file system shows them. */
#include "engine/cgroup-files.h"
#include "engine/cgroup.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static const char hybrid[] =
    "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
    "31 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
    "32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate\n"
    "33 31 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:6 master:1 - cgroup cgroup rw,xattr,name=systemd\n"
    "34 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "36 31 0:31 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n"
    "37 31 0:30 / /mnt/a\\040copy rw - cgroup cgroup rw,memory\n"
    "38 31 0:32 /docker/17 /sys/fs/cgroup/pids\\134x rw - cgroup cgroup rw,pids\n"
    "broken line\n"
    "39 31 0:33 / /short rw - cgroup2\n";

static const char membership[] = "12:pids:/docker/17/parexec/w1\n"
                                 "5:cpu,cpuacct:/system.slice\n"
                                 "4:memory:/process:with:colons\n"
                                 "1:name=systemd:/init.scope\n"
                                 "0::/system.slice/a.service\n";

static void hierarchies_done(CgroupHierarchy *hierarchies, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cgroup_hierarchy_done(&hierarchies[i]);
}

static void test_parse_mounts(void)
{
    CgroupHierarchy h[CGROUP_HIERARCHY_MAX];
    size_t n = cgroup_parse_mounts(hybrid, h, G_N_ELEMENTS(h));

    g_assert_cmpuint(n, ==, 5);
    g_assert_true(h[0].unified);
    g_assert_cmpstr(h[0].mount, ==, "/sys/fs/cgroup/unified");
    g_assert_cmpstr(h[1].name, ==, "systemd");
    g_assert_cmpuint(h[1].controllers, ==, 0);
    g_assert_cmpuint(h[2].controllers, ==, CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT));
    g_assert_cmpstr(h[3].mount, ==, "/sys/fs/cgroup/memory");
    g_assert_cmpstr(h[4].mount, ==, "/sys/fs/cgroup/pids\\x");
    g_assert_cmpstr(h[4].root, ==, "/docker/17");
    hierarchies_done(h, n);
    n = cgroup_parse_mounts(hybrid, h, 2);
    g_assert_cmpuint(n, ==, 2);
    hierarchies_done(h, n);
    g_assert_cmpuint(cgroup_parse_mounts("", h, 2), ==, 0);
}

static void test_path_in(void)
{
    CgroupHierarchy h[CGROUP_HIERARCHY_MAX];
    size_t n = cgroup_parse_mounts(hybrid, h, G_N_ELEMENTS(h));
    static const char *const expected[] = { "/system.slice/a.service", "/init.scope", "/system.slice",
                                            "/process:with:colons", "/docker/17/parexec/w1" };

    for (size_t i = 0; i < n; i++) {
        g_autofree char *path = cgroup_path_in(membership, &h[i]);
        g_assert_cmpstr(path, ==, expected[i]);
        g_assert_null(cgroup_path_in("", &h[i]));
        g_assert_null(cgroup_path_in("nonsense\n7:cpuset:/\n0:\n", &h[i]));
    }
    hierarchies_done(h, n);
}

static void test_directory(void)
{
    CgroupHierarchy whole = { .mount = (char *) "/cg", .root = (char *) "/" };
    CgroupHierarchy part = { .mount = (char *) "/cg", .root = (char *) "/docker/17" };
    static const struct {
        const char *path, *in_whole, *in_part;
    } cases[] = {
        { "/docker/17/w1", "/cg/docker/17/w1", "/cg/w1" }, { "/docker/17", "/cg/docker/17", "/cg" },
        { "/docker/171", "/cg/docker/171", NULL },         { "/", "/cg/", NULL },
        { "/../outside", NULL, NULL },                     { "/docker/17/../../x", NULL, NULL },
        { "/docker/17/..", NULL, NULL },                   { "relative", NULL, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *in_whole = cgroup_directory(&whole, cases[i].path);
        g_autofree char *in_part = cgroup_directory(&part, cases[i].path);
        g_assert_cmpstr(in_whole, ==, cases[i].in_whole);
        g_assert_cmpstr(in_part, ==, cases[i].in_part);
    }
}

static void test_path_is_below(void)
{
    g_assert_true(cgroup_path_is_below("/a/b", "/a/b"));
    g_assert_true(cgroup_path_is_below("/a/b/c", "/a/b"));
    g_assert_true(cgroup_path_is_below("/a/b", "/a/"));
    g_assert_true(cgroup_path_is_below("/a", "/"));
    g_assert_false(cgroup_path_is_below("/a/bc", "/a/b"));
    g_assert_false(cgroup_path_is_below("/a", "/a/b"));
    g_assert_false(cgroup_path_is_below("/", "/a"));
}

/* ---- a directory that looks like a hierarchy ---- */

typedef struct Fixture {
    char *mount;
    CgroupHierarchy hierarchy;
} Fixture;

static void put(Fixture *fixture, const char *file, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->mount, file, NULL);
    g_autofree char *directory = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *get(Fixture *fixture, const char *file)
{
    g_autofree char *path = g_build_filename(fixture->mount, file, NULL);
    char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void setup(Fixture *fixture, const void *data)
{
    fixture->mount = g_dir_make_tmp("parexec-cgroup-XXXXXX", NULL);
    fixture->hierarchy = (CgroupHierarchy) { .mount = fixture->mount, .root = (char *) "/", .unified = true };
}

static void teardown(Fixture *fixture, const void *data)
{
    g_autofree char *quoted = g_shell_quote(fixture->mount);
    g_autofree char *command = g_strconcat("rm -rf ", quoted, NULL);

    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(fixture->mount);
}

static void test_make_and_remove(Fixture *fixture, const void *data)
{
    g_autofree char *deep = g_build_filename(fixture->mount, "a", "b", "c", NULL);
    g_autofree char *top = g_build_filename(fixture->mount, "a", NULL);

    g_assert_cmpint(cgroup_files_make(deep, strlen(fixture->mount)), ==, 0);
    g_assert_cmpint(cgroup_files_make(deep, strlen(fixture->mount)), ==, 0);
    g_assert_true(g_file_test(deep, G_FILE_TEST_IS_DIR));
    g_assert_cmpint(cgroup_files_remove(top), ==, 0);
    g_assert_false(g_file_test(top, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(fixture->mount, G_FILE_TEST_IS_DIR));
    g_assert_cmpint(cgroup_files_remove(top), ==, 0);

    put(fixture, "f/occupied", "");
    g_autofree char *occupied = g_build_filename(fixture->mount, "f", NULL);
    g_assert_cmpint(cgroup_files_remove(occupied), <, 0);
}

static void test_enable(Fixture *fixture, const void *data)
{
    g_autofree char *group = g_build_filename(fixture->mount, "a", "b", NULL);

    put(fixture, "cgroup.subtree_control", "cpu memory\n");
    put(fixture, "a/cgroup.subtree_control", "");
    put(fixture, "a/b/cgroup.subtree_control", "");
    cgroup_files_enable(group, strlen(fixture->mount), CGROUP_BIT(CGROUP_MEMORY));
    g_autofree char *root = get(fixture, "cgroup.subtree_control");
    g_autofree char *a = get(fixture, "a/cgroup.subtree_control");
    g_autofree char *b = get(fixture, "a/b/cgroup.subtree_control");
    g_assert_cmpstr(root, ==, "cpu memory\n"); /* was on */
    g_assert_cmpstr(a, ==, "+memory");
    g_assert_cmpstr(b, ==, ""); /* the group itself has processes */
}

static void test_list_pids(Fixture *fixture, const void *data)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(int32_t));
    int32_t sum = 0;

    put(fixture, "w1/cgroup.procs", "10\n20\n0\nnonsense\n99999999999999999999\n");
    put(fixture, "w1/task-1/cgroup.procs", "30\n");
    put(fixture, "w1/task-1/deep/cgroup.procs", "40");
    put(fixture, "w2/cgroup.procs", "1000\n");
    g_assert_cmpint(cgroup_list_pids(&fixture->hierarchy, "/w1", pids), ==, 0);
    for (guint i = 0; i < pids->len; i++)
        sum += g_array_index(pids, int32_t, i);
    g_assert_cmpuint(pids->len, ==, 4);
    g_assert_cmpint(sum, ==, 100);
    g_assert_cmpint(cgroup_list_pids(&fixture->hierarchy, "/w3", pids), ==, -ENOENT);
}

static void test_is_empty(Fixture *fixture, const void *data)
{
    put(fixture, "full/cgroup.events", "populated 1\nfrozen 0\n");
    put(fixture, "empty/cgroup.events", "frozen 0\npopulated 0\n");
    put(fixture, "old/cgroup.procs", "");
    put(fixture, "old/below/cgroup.procs", "17\n");
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/full"), ==, 0);
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/empty"), ==, 1);
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/gone"), ==, 1);
    fixture->hierarchy.unified = false;
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/old"), ==, 0);
    put(fixture, "old/below/cgroup.procs", "");
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/old"), ==, 1);
    g_assert_cmpint(cgroup_is_empty(&fixture->hierarchy, "/gone"), ==, 1);
}

static void test_kill(Fixture *fixture, const void *data)
{
    put(fixture, "w1/cgroup.kill", "");
    g_assert_cmpint(cgroup_kill(&fixture->hierarchy, "/w1"), ==, 0);
    g_autofree char *text = get(fixture, "w1/cgroup.kill");
    g_assert_cmpstr(text, ==, "1");
    g_assert_cmpint(cgroup_kill(&fixture->hierarchy, "/gone"), ==, -ENOENT);

    /* never the whole machine, whatever is asked */
    put(fixture, "cgroup.kill", "");
    g_assert_cmpint(cgroup_kill(&fixture->hierarchy, "/"), ==, -EPERM);
    g_autofree char *root = get(fixture, "cgroup.kill");
    g_assert_cmpstr(root, ==, "");
}

static void test_core_files(Fixture *fixture, const void *data)
{
    g_autofree char *value = NULL;

    put(fixture, "w1/cgroup.type", "domain\n");
    g_assert_cmpint(cgroup_read_core(&fixture->hierarchy, "/w1", "cgroup.type", &value), ==, 0);
    g_assert_cmpstr(value, ==, "domain");
    g_assert_cmpint(cgroup_read_core(&fixture->hierarchy, "/w1", "missing", &value), ==, -ENOENT);
    g_assert_cmpint(cgroup_write_core(&fixture->hierarchy, "/w1", "missing", "x"), ==, -ENOENT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cgroup-files/parse-mounts", test_parse_mounts);
    g_test_add_func("/cgroup-files/path-in", test_path_in);
    g_test_add_func("/cgroup-files/directory", test_directory);
    g_test_add_func("/cgroup-files/path-is-below", test_path_is_below);
    g_test_add("/cgroup-files/make-and-remove", Fixture, NULL, setup, test_make_and_remove, teardown);
    g_test_add("/cgroup-files/enable", Fixture, NULL, setup, test_enable, teardown);
    g_test_add("/cgroup-files/list-pids", Fixture, NULL, setup, test_list_pids, teardown);
    g_test_add("/cgroup-files/is-empty", Fixture, NULL, setup, test_is_empty, teardown);
    g_test_add("/cgroup-files/kill", Fixture, NULL, setup, test_kill, teardown);
    g_test_add("/cgroup-files/core-files", Fixture, NULL, setup, test_core_files, teardown);
    return g_test_run();
}
