/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/kernel-log.h"

#define HEAD "6,11587,5000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
#define GROUP "/parexec-w1.scope/slot-0"
#define LINE HEAD "oom_memcg=/a/parexec-w1.scope,task_memcg=/a" GROUP ",task=tail,pid=69,uid=0\n"

typedef struct Case {
    const char *name, *record;
    uint64_t since_usec;
    const char *victim; /* NULL: it is about something else */
    int pid;
} Case;

static const Case cases[] = {
    { "as it is", LINE, 5000000, "tail", 69 },
    { "of an earlier task", LINE, 60000000, NULL, 0 },
    { "a little older, by a clock that differs", LINE, 6000000, "tail", 69 },
    { "of another slot", HEAD "oom_memcg=/w,task_memcg=/a/parexec-w1.scope/slot-01,task=tail,pid=69,uid=0", 0, NULL, 0 },
    { "of another worker", HEAD "oom_memcg=/w,task_memcg=/a/parexec-w11.scope/slot-0,task=tail,pid=69,uid=0", 0, NULL, 0 },
    { "by the machine",
      "6,1,5000000,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
      "task_memcg=/x" GROUP ",task=cc1,pid=8,uid=1000",
      0, "cc1", 8 },
    { "a name that tries", HEAD "task_memcg=/a" GROUP ",task=x,pid=1,uid=0,pid=7,uid=0", 0, "x,pid=1,uid=0", 7 },
    { "a name that is a key", HEAD "task_memcg=/a" GROUP ",task=,task=,pid=7,uid=0", 0, NULL, 0 },
    { "another record", "6,1,5000000,-;usb 1-1: new device", 0, NULL, 0 },
    { "no time", "6,1;oom-kill:task_memcg=/a" GROUP ",task=x,pid=1", 0, NULL, 0 },
    { "no name", HEAD "task_memcg=/a" GROUP ",task=", 0, NULL, 0 },
    { "no PID", HEAD "task_memcg=/a" GROUP ",task=x,uid=0", 0, NULL, 0 },
    { "empty", "", 0, NULL, 0 },
};

static void test_case(const void *data)
{
    const Case *c = data;
    g_auto(OomVictim) victim = { 0 };

    g_assert_cmpint(kernel_log_match(c->record, GROUP, c->since_usec, &victim), ==, c->victim != NULL);
    g_assert_cmpstr(victim.name, ==, c->victim);
    g_assert_cmpint(victim.pid, ==, c->pid);
}

/* A log that cannot be read, or has nothing about it, is no error. */
static void test_log(void)
{
    g_auto(OomVictim) victim = { 0 };

    g_assert_false(kernel_log_find_victim("/no such cgroup/slot-0", 0, &victim));
    g_assert_null(victim.name);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/kernel-log/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/kernel-log/log", test_log);
    return g_test_run();
}
