/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* group-limits.c on trees of files: both versions, a container, a user's manager, and nonsense. */
#include "host/group-limits.h"

#include <glib/gstdio.h>
#include <math.h>

#define MIB (UINT64_C(1) << 20)

typedef struct Fixture {
    char *root;
} Fixture;

static void make(Fixture *fixture, const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(fixture->root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void setup(Fixture *fixture, const void *data)
{
    fixture->root = g_dir_make_tmp("parexec-groups-XXXXXX", NULL);
    g_assert_nonnull(fixture->root);
}

static void teardown(Fixture *fixture, const void *data)
{
    const char *const argv[] = { "rm", "-r", fixture->root, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(fixture->root);
}

static void expect(Fixture *fixture, uint64_t free_bytes, double cpus)
{
    HostGroups limits;

    group_limits_read(fixture->root, "parexec.slice", "parexec-shared.slice", &limits);
    g_assert_cmpuint(MIN(limits.all.free_bytes, limits.engine.free_bytes), ==, free_bytes);
    g_assert_cmpfloat(fmin(limits.all.cpus, limits.engine.cpus), ==, cpus);
}

static void expect_slice(Fixture *fixture, const char *group, const char *slice, uint64_t free_bytes, double cpus)
{
    HostGroups limits;

    group_limits_read(fixture->root, group, slice, &limits);
    g_assert_cmpuint(limits.slice.free_bytes, ==, free_bytes);
    g_assert_cmpfloat(limits.slice.cpus, ==, cpus);
}

#define V2_MOUNT "24 1 0:21 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static void make_v2(Fixture *fixture)
{
    make(fixture, "proc/self/mountinfo", "21 1 8:1 / / rw - ext4 /dev/vda rw\n" V2_MOUNT);
    make(fixture, "proc/self/cgroup", "0::/system.slice/parexecd.service\n");
    make(fixture, "sys/fs/cgroup/system.slice/parexecd.service/memory.max", "max\n");
    make(fixture, "sys/fs/cgroup/system.slice/parexecd.service/cpu.max", "max 100000\n");
}

static void test_unlimited(Fixture *fixture, const void *data)
{
    expect(fixture, UINT64_MAX, INFINITY); /* nothing is there */
    make_v2(fixture);
    expect(fixture, UINT64_MAX, INFINITY);
}

static void test_slice(Fixture *fixture, const void *data)
{
    make_v2(fixture);
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.max", "1073741824\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.high", "max\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.current", "943718400\n"); /* 900 MiB, */
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.stat", "anon 1\ninactive_file 104857600\nactive_file 104857600\nfile 9999\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/cpu.max", "150000 100000\n");
    expect(fixture, 324 * MIB, 1.5); /* of which 200 are cached files */
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.high", "838860800\n"); /* 800 MiB: throttled from there on */
    expect(fixture, 100 * MIB, 1.5);
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.high", "524288000\n");
    expect(fixture, 0, 1.5); /* it is over already */
}

static void test_daemon_and_above(Fixture *fixture, const void *data)
{
    make_v2(fixture);
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.max", "1073741824\n"); /* of which nothing is used */
    make(fixture, "sys/fs/cgroup/system.slice/memory.max", "536870912\n");
    make(fixture, "sys/fs/cgroup/system.slice/memory.current", "104857600\n");
    make(fixture, "sys/fs/cgroup/system.slice/parexecd.service/cpu.max", "50000 100000\n");
    expect(fixture, 412 * MIB, 0.5);
}

/* A container with a cgroup namespace: its limits are those of what it sees as the root. */
static void test_container(Fixture *fixture, const void *data)
{
    make(fixture, "proc/self/mountinfo", V2_MOUNT);
    make(fixture, "proc/self/cgroup", "0::/\n");
    make(fixture, "sys/fs/cgroup/memory.max", "268435456\n");
    make(fixture, "sys/fs/cgroup/memory.current", "67108864\n");
    make(fixture, "sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect(fixture, 192 * MIB, 2.0);
    make(fixture, "proc/self/cgroup", "0::/../elsewhere\n"); /* entered from outside */
    expect(fixture, 192 * MIB, 2.0);
}

/* One without: the mount shows the container's part, the paths are the host's. */
static void test_container_v1(Fixture *fixture, const void *data)
{
    make(fixture, "proc/self/mountinfo",
         "31 1 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
         "32 1 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
         "33 1 0:28 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n");
    make(fixture, "proc/self/cgroup",
         "4:memory:/docker/abc/system.slice/parexecd.service\n3:cpu,cpuacct:/docker/abc\n2:pids:/docker/abc\n");
    make(fixture, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    make(fixture, "sys/fs/cgroup/memory/parexec.slice/memory.limit_in_bytes", "536870912\n");
    make(fixture, "sys/fs/cgroup/memory/parexec.slice/memory.usage_in_bytes", "402653184\n");
    make(fixture, "sys/fs/cgroup/memory/parexec.slice/memory.stat", "inactive_file 7\ntotal_inactive_file 134217728\n");
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "75000\n");
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/parexec.slice/cpu.cfs_quota_us", "-1\n");
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/parexec.slice/cpu.cfs_period_us", "100000\n");
    make(fixture, "sys/fs/cgroup/pids/memory.limit_in_bytes", "1\n"); /* means nothing there */
    expect(fixture, 256 * MIB, 0.75);
}

/* The user's own slice, and not the system's of that name. */
static void test_user_manager(Fixture *fixture, const void *data)
{
    make(fixture, "proc/self/mountinfo", V2_MOUNT);
    make(fixture, "proc/self/cgroup", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/parexecd.service\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.max", "1048576\n");
    make(fixture, "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/parexec.slice/memory.max", "209715200\n");
    make(fixture, "sys/fs/cgroup/user.slice/user-1000.slice/cpu.max", "300000 100000\n");
    expect(fixture, 200 * MIB, 3.0);
    make(fixture, "sys/fs/cgroup/parexec.slice/parexec-shared.slice/memory.max", "1048576\n");
    make(fixture, "sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/parexec.slice/parexec-shared.slice/memory.max",
         "104857600\n");
    expect_slice(fixture, "parexec.slice", "parexec-shared.slice", 100 * MIB, INFINITY);
}

/* A user's slice is told beside those above it, since it does not hold all workers. */
static void test_user_slices(Fixture *fixture, const void *data)
{
    make_v2(fixture);
    expect_slice(fixture, "parexec.slice", "parexec-shared.slice", UINT64_MAX, INFINITY); /* nothing is there yet */
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.max", "1073741824\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/cpu.max", "150000 100000\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/parexec-shared.slice/memory.max", "67108864\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/parexec-shared.slice/memory.current", "33554432\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/parexec-shared.slice/cpu.max", "50000 100000\n");
    make(fixture, "sys/fs/cgroup/parexec-u1000.slice/memory.max", "1\n"); /* not where systemd makes it */
    expect(fixture, 1024 * MIB, 1.5);
    expect_slice(fixture, "parexec.slice", "parexec-shared.slice", 32 * MIB, 0.5);
    expect_slice(fixture, "parexec.slice", "parexec-u1000.slice", UINT64_MAX, INFINITY); /* that one is not there yet */
    make(fixture, "sys/fs/cgroup/parexec.slice/parexec-u1000.slice/cpu.max", "25000 100000\n");
    expect_slice(fixture, "parexec.slice", "parexec-u1000.slice", UINT64_MAX, 0.25);
    expect_slice(fixture, "parexec.slice", NULL, UINT64_MAX, INFINITY);
}

/* On v1 the slice is in several hierarchies, and not in each of them. */
static void test_user_slices_v1(Fixture *fixture, const void *data)
{
    make(fixture, "proc/self/mountinfo",
         "31 1 0:26 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
         "32 1 0:27 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
    make(fixture, "proc/self/cgroup", "4:memory:/system.slice/parexecd.service\n3:cpu,cpuacct:/\n");
    make(fixture, "sys/fs/cgroup/memory/parexec.slice/parexec-u7.slice/memory.limit_in_bytes", "134217728\n");
    expect_slice(fixture, "parexec.slice", "parexec-u7.slice", 128 * MIB, INFINITY);
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/parexec.slice/parexec-u7.slice/cpu.cfs_quota_us", "200000\n");
    make(fixture, "sys/fs/cgroup/cpu,cpuacct/parexec.slice/parexec-u7.slice/cpu.cfs_period_us", "100000\n");
    expect_slice(fixture, "parexec.slice", "parexec-u7.slice", 128 * MIB, 2.0);
    expect(fixture, UINT64_MAX, INFINITY);
}

/* The cgroup engine's workers are in a group beside the daemon's leaf. */
static void test_cgroup_engine(Fixture *fixture, const void *data)
{
    HostGroups limits;

    make(fixture, "proc/self/mountinfo", V2_MOUNT);
    make(fixture, "proc/self/cgroup", "0::/docker/abc/daemon\n");
    make(fixture, "sys/fs/cgroup/parexec.slice/memory.max", "1048576\n"); /* is systemd's */
    make(fixture, "sys/fs/cgroup/docker/abc/parexec/memory.max", "209715200\n");
    make(fixture, "sys/fs/cgroup/docker/abc/cpu.max", "300000 100000\n");
    group_limits_read(fixture->root, "parexec", NULL, &limits);
    g_assert_cmpuint(limits.all.free_bytes, ==, UINT64_MAX);
    g_assert_cmpfloat(limits.all.cpus, ==, 3.0);
    g_assert_cmpuint(limits.engine.free_bytes, ==, 200 * MIB);
    g_assert_cmpfloat(limits.engine.cpus, ==, INFINITY);
    g_assert_cmpuint(limits.slice.free_bytes, ==, UINT64_MAX);
    g_assert_cmpfloat(limits.slice.cpus, ==, INFINITY);
}

static void test_nonsense(Fixture *fixture, const void *data)
{
    make(fixture, "proc/self/mountinfo", V2_MOUNT "\n1 2\n- - - - - - - - -\n1 2 3 4 5 6 - cgroup2\n");
    make(fixture, "proc/self/cgroup", "\n::\n0\n0::/a/b\n7:memory:/a\n");
    make(fixture, "sys/fs/cgroup/a/memory.max", "-5\n");
    make(fixture, "sys/fs/cgroup/a/cpu.max", "100000\n");
    make(fixture, "sys/fs/cgroup/a/b/memory.max", "99999999999999999999999\n");
    make(fixture, "sys/fs/cgroup/a/b/cpu.max", "100000 0\n");
    make(fixture, "sys/fs/cgroup/cpu.max", "\n");
    expect(fixture, UINT64_MAX, INFINITY);
}

static void add(const char *path, void (*test)(Fixture *fixture, const void *data))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/group-limits/unlimited", test_unlimited);
    add("/group-limits/slice", test_slice);
    add("/group-limits/daemon-and-above", test_daemon_and_above);
    add("/group-limits/container", test_container);
    add("/group-limits/container-v1", test_container_v1);
    add("/group-limits/user-manager", test_user_manager);
    add("/group-limits/user-slices", test_user_slices);
    add("/group-limits/user-slices-v1", test_user_slices_v1);
    add("/group-limits/cgroup-engine", test_cgroup_engine);
    add("/group-limits/nonsense", test_nonsense);
    return g_test_run();
}
