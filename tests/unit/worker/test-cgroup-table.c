/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/cgroup-table.h"

#define MOUNT_V2 "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

typedef struct Case {
    const char *name, *cgroups, *mounts;
    CgroupTable expected;
} Case;

static const Case cases[] = {
    { "v2",
      "0::/parexec.slice/parexec-w1.scope\n",
      "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" MOUNT_V2,
      { .unified = (char *) "/sys/fs/cgroup/parexec.slice/parexec-w1.scope" } },
    { "hybrid",
      "12:name=systemd:/a.slice/w.scope\n4:memory:/a.slice/w.scope\n"
      "3:cpu,cpuacct:/a.slice/w.scope\n2:freezer:/\n5:pids:/a.slice/w.scope\n6:blkio:/\n"
      "0::/a.slice/w.scope\n",
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
      "42 31 0:39 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
      "43 31 0:40 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "44 31 0:41 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
      "45 31 0:42 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
      "46 31 0:43 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n",
      { .unified = (char *) "/sys/fs/cgroup/unified/a.slice/w.scope",
        .memory = (char *) "/sys/fs/cgroup/memory/a.slice/w.scope",
        .cpuacct = (char *) "/sys/fs/cgroup/cpu,cpuacct/a.slice/w.scope",
        .cpu = (char *) "/sys/fs/cgroup/cpu,cpuacct/a.slice/w.scope",
        .pids = (char *) "/sys/fs/cgroup/pids/a.slice/w.scope" } },
    { "legacy v1",
      "3:cpuacct:/w\n2:memory:/w\n1:freezer:/w\n",
      "1 0 0:1 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct\n"
      "2 0 0:2 / /cg/memory rw - cgroup cgroup rw,memory\n"
      "3 0 0:3 / /cg/freezer rw - cgroup cgroup rw,freezer\n",
      { .memory = (char *) "/cg/memory/w",
        .cpuacct = (char *) "/cg/cpuacct/w",
        .freezer = (char *) "/cg/freezer/w" } },
    { "a part of the hierarchy is mounted, at a path with a space",
      "0::/box/7/w1\n",
      "30 23 0:26 /other /mnt/other rw - cgroup2 cgroup2 rw\n"
      "31 23 0:26 /box/7 /mnt/my\\040box rw - cgroup2 cgroup2 rw\n",
      { .unified = (char *) "/mnt/my box/w1" } },
    { "a part that only begins alike is another",
      "0::/box/77/w1\n",
      "31 23 0:26 /box/7 /mnt rw - cgroup2 cgroup2 rw\n",
      { NULL } },
    { "exactly what is mounted",
      "0::/box/7\n",
      "31 23 0:26 /box/7 /mnt rw - cgroup2 cgroup2 rw\n",
      { .unified = (char *) "/mnt" } },
    { "the root is nobody's", "0::/\n", MOUNT_V2, { NULL } },
    { "outside of the namespace", "0::/../../x\n", MOUNT_V2, { NULL } },
    { "not mounted", "0::/w\n3:memory:/w\n", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", { NULL } },
    { "a controller whose name begins alike",
      "3:memoryx:/w\n",
      "2 0 0:2 / /cg rw - cgroup cgroup rw,memoryx\n",
      { NULL } },
    { "a colon in the path", "0::/a:b/w\n", MOUNT_V2, { .unified = (char *) "/sys/fs/cgroup/a:b/w" } },
    { "nothing", "", "", { NULL } },
    { "nonsense", "0\n::\n0:\n\n:::\n", "a b\n- - -\n1 2 3 4 5 6 -\n1 2 3 4 5 6 - cgroup2\n", { NULL } },
};

static void test_case(const void *data)
{
    const Case *c = data;
    g_auto(CgroupTable) table = { 0 };

    cgroup_table_parse(c->cgroups, c->mounts, &table);
    g_assert_cmpstr(table.unified, ==, c->expected.unified);
    g_assert_cmpstr(table.memory, ==, c->expected.memory);
    g_assert_cmpstr(table.cpuacct, ==, c->expected.cpuacct);
    g_assert_cmpstr(table.freezer, ==, c->expected.freezer);
    g_assert_cmpstr(table.cpu, ==, c->expected.cpu);
    g_assert_cmpstr(table.pids, ==, c->expected.pids);
    g_assert_cmpstr(table.blkio, ==, c->expected.blkio);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/cgroup-table/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
