/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gpu-hiding.c and device-filter.c: which nodes belong to which GPU, and the kernel's refusal of devices to a real group. */
#include "engine/gpu-hiding.h"
#include "engine/cgroup-files.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

static MachineGpu gpus[] = {
    { 0, (char *) "nvidia", (char *) "", (char *) "0000:01:00.0", (char *) "/dev/nvidia1", 0 },
    { 1, (char *) "nvidia", (char *) "", (char *) "0000:02:00.0", (char *) "/dev/nvidia0", 0 },
    { 2, (char *) "nvidia", (char *) "", (char *) "", (char *) "/dev/nvidia-strange", 0 },
    { 0, (char *) "intel", (char *) "", (char *) "0000:03:00.0", (char *) "/dev/zero", 0 },
};
static const Machine machine = { .gpus = gpus, .n_gpus = G_N_ELEMENTS(gpus) };

static char *describe(const Machine *of, const char *list, const char *root)
{
    Placement placement;
    GString *text = g_string_new(NULL);

    placement_init(&placement);
    placement.gpu_list = g_strdup(list);
    g_autoptr(GArray) devices = gpu_hiding_devices(of, &placement, root);
    for (guint i = 0; i < devices->len; i++) {
        const DeviceNumber *device = &g_array_index(devices, DeviceNumber, i);
        g_string_append_printf(text, "%s%u:%u", i ? " " : "", device->major, device->minor);
    }
    placement_done(&placement);
    return g_string_free(text, FALSE);
}

static void make_file(const char *root, const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void test_devices(void)
{
    g_autofree char *root = g_dir_make_tmp("parexec-gpus-XXXXXX", NULL);
    const char *const remove[] = { "rm", "-r", root, NULL };

    make_file(root, "sys/bus/pci/devices/0000:02:00.0/drm/renderD129/dev", "226:129\n");
    make_file(root, "sys/bus/pci/devices/0000:01:00.0/drm/card1/dev", "nonsense\n");
    make_file(root, "sys/bus/pci/devices/0000:03:00.0/drm/card0/dev", "226:0\n"); /* another vendor's */
    const struct {
        const Machine *machine;
        const char *list, *expected;
    } cases[] = {
        { &machine, NULL, "" },
        { &machine, "0", "195:0 226:129" },
        { &machine, "1", "195:1" },
        { &machine, "0-1", "" }, /* the third has no node that is known */
        { &machine, "7", "195:1 195:0 226:129" },
        { &machine, "x", "" },
        { NULL, "0", "" },
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = describe(cases[i].machine, cases[i].list, root);
        g_assert_cmpstr(text, ==, cases[i].expected);
    }
    g_assert_true(g_spawn_sync(NULL, (char **) remove, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void test_check_without_group(void)
{
    WorkerGroup group = { 0 };
    Placement placement;

    placement_init(&placement);
    g_assert_null(gpu_hiding_check(&group, &machine, &placement)); /* it has none: it is left alone */
    placement.gpu_list = g_strdup("0");
    g_autofree char *unknown = gpu_hiding_check(&group, NULL, &placement);
    g_assert_cmpstr(unknown, ==, "GPUs: other GPUs' device nodes are not hidden (it is not known which there are)");
    g_autofree char *none = gpu_hiding_check(&group, &machine, &placement);
    g_assert_cmpstr(none, ==, "GPUs: other GPUs' device nodes are not hidden (only groups of cgroup v2 can hide devices)");
    gpu_hiding_apply(&group, &machine, &placement);

    char **sentences = g_new0(char *, 2);
    sentences[0] = g_strdup("first");
    sentences = gpu_hiding_add_check(sentences, &group, &machine, &placement);
    g_assert_cmpuint(g_strv_length(sentences), ==, 2);
    g_assert_cmpstr(sentences[1], ==, none);
    g_strfreev(sentences);
    placement_done(&placement);
}

/* ---- the kernel's word ---- */

/* A bit for each device that could be opened by a process in the group. */
static int open_in(const char *directory, const char *const *paths)
{
    int status, opened = 0;
    pid_t pid = fork();

    if (pid == 0) {
        g_autofree char *procs = g_build_filename(directory, "cgroup.procs", NULL);
        int fd = open(procs, O_WRONLY);
        if (fd < 0 || write(fd, "0", 1) != 1)
            _exit(255);
        for (unsigned i = 0; paths[i]; i++)
            opened |= (open(paths[i], O_RDONLY | O_CLOEXEC) >= 0) << i;
        _exit(opened);
    }
    g_assert_cmpint(pid, >, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_filter(void)
{
    static const char *const paths[] = { "/dev/null", "/dev/zero", "/dev/full", "/etc/passwd", NULL };
    const DeviceNumber denied[] = { { 1, 5 }, { 500, 3 }, { 1, 7 } }; /* zero, nothing, full; not null */
    int i = cgroup_hierarchy_unified();
    g_autofree char *directory =
        i < 0 ? NULL : g_strdup_printf("%s/parexec-test-%d", cgroup_hierarchy((size_t) i)->mount, getpid());
    g_autofree char *below = directory ? g_build_filename(directory, "below", NULL) : NULL;

    if (!directory || g_mkdir(directory, 0700) < 0 || g_mkdir(below, 0700) < 0) {
        g_test_skip("no group of cgroup v2 can be made here");
        return;
    }
    int before = open_in(below, paths), r = device_filter_attach(directory, denied, G_N_ELEMENTS(denied));
    if (before != 15 || r == -EPERM || r == -ENOSYS) {
        g_test_skip("no device filter can be made here");
    } else {
        g_assert_cmpint(r, >=, 0);
        g_assert_cmpint(open_in(below, paths), ==, 1 | 8); /* also in groups below */
        g_assert_cmpint(open("/dev/zero", O_RDONLY | O_CLOEXEC), >=, 0); /* but not here */
        g_assert_cmpint(device_filter_is_attached(directory), ==, 1);
        g_assert_cmpint(device_filter_is_attached(below), ==, 0);
    }
    g_assert_cmpint(device_filter_attach("/nonexistent", denied, 1), ==, -ENOENT);
    g_assert_cmpint(device_filter_attach(directory, denied, DEVICE_FILTER_MAX + 1), ==, -E2BIG);
    g_assert_cmpint(device_filter_is_attached("/nonexistent"), ==, -ENOENT);
    g_assert_cmpint(cgroup_files_remove(directory), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(cgroups_init(), <=, 0);
    g_test_add_func("/gpu-hiding/devices", test_devices);
    g_test_add_func("/gpu-hiding/check-without-group", test_check_without_group);
    g_test_add_func("/device-filter/filter", test_filter);
    return g_test_run();
}
