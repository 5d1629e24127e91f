/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config-machine.c: what the configuration says of CPUs and nodes, on machines that have fewer. */
#include "config/config-machine.h"

#include <fcntl.h>
#include <glib/gstdio.h>

#include "util/log.h"

static const Machine two_cpus = {
    .cores = (MachineCore[]){ { .node = -1, .cpus = (uint32_t[]){ 0 }, .n_cpus = 1 },
                              { .node = -1, .cpus = (uint32_t[]){ 1 }, .n_cpus = 1 } },
    .n_cores = 2,
};
static const Machine two_nodes = {
    .cores = (MachineCore[]){ { .node = 0, .cpus = (uint32_t[]){ 0, 4 }, .n_cpus = 2 },
                              { .node = 2, .cpus = (uint32_t[]){ 2, 6 }, .n_cpus = 2 } },
    .n_cores = 2,
    .nodes = (MachineNode[]){ { 0, 1 }, { 2, 1 } },
    .n_nodes = 2,
};
static const Machine unknown = { 0 };

/* What is said. */
static char *check(Settings *settings, const Machine *machine)
{
    g_autofree char *path = NULL;
    char *said = NULL;
    _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    _cleanup_close_ int fd = g_file_open_tmp("parexec-said-XXXXXX", &path, NULL);

    g_assert_cmpint(dup2(fd, STDERR_FILENO), >=, 0);
    config_check_machine(settings, machine);
    g_assert_cmpint(dup2(saved, STDERR_FILENO), >=, 0);
    g_assert_true(g_file_get_contents(path, &said, NULL, NULL));
    g_assert_cmpint(g_unlink(path), ==, 0);
    return said;
}

static void test_check(void)
{
    static const struct {
        const Machine *machine;
        const char *cpus, *nodes, *cpus_then, *nodes_then, *said;
    } cases[] = {
        { &two_cpus, NULL, NULL, NULL, NULL, "" },
        { &two_cpus, "0-1", "0", "0-1", "0", "" },
        { &two_cpus, "1,0", NULL, "1,0", NULL, "" }, /* as it was written */
        { &two_cpus, "0-1,77", NULL, "0-1", NULL, "<4>AllowedCPUs=0-1,77: this machine has CPUs 0-1, using 0-1.\n" },
        { &two_cpus, "1-3", NULL, "1", NULL, "<4>AllowedCPUs=1-3: this machine has CPUs 0-1, using 1.\n" },
        { &two_cpus, "77", "9", NULL, NULL,
          "<4>AllowedCPUs=77: this machine has CPUs 0-1, ignoring it.\n"
          "<4>AllowedMemoryNodes=9: this machine has memory node 0, ignoring it.\n" },
        { &two_nodes, "0-2,4,6", "0-2", "0,2,4,6", "0,2",
          "<4>AllowedCPUs=0-2,4,6: this machine has CPUs 0,2,4,6, using 0,2,4,6.\n"
          "<4>AllowedMemoryNodes=0-2: this machine has memory nodes 0,2, using 0,2.\n" },
        { &two_nodes, "6", "2", "6", "2", "" },
        { &unknown, "77", "0", "77", "0", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Settings settings = { 0 };
        g_test_message("case %zu", i);
        worker_limits_init(&settings.limits);
        settings.limits.allowed_cpus = g_strdup(cases[i].cpus);
        settings.limits.allowed_memory_nodes = g_strdup(cases[i].nodes);
        g_autofree char *said = check(&settings, cases[i].machine), *again = check(&settings, cases[i].machine);
        g_assert_cmpstr(said, ==, cases[i].said);
        g_assert_cmpstr(settings.limits.allowed_cpus, ==, cases[i].cpus_then);
        g_assert_cmpstr(settings.limits.allowed_memory_nodes, ==, cases[i].nodes_then);
        g_assert_cmpstr(again, ==, ""); /* what is left is all there */
        worker_limits_done(&settings.limits);
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    log_set_max_level(LOG_WARNING);
    g_test_add_func("/config-machine/check", test_check);
    return g_test_run();
}
