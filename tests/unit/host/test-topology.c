/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* topology.c and gpus.c on machines that do not exist, as hwloc's own variables describe them, and on this one. */
#include "host/gpus.h"
#include "host/topology.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>

static void read_machine(const char *variable, const char *value, Machine *ret)
{
    g_unsetenv("HWLOC_SYNTHETIC");
    g_unsetenv("HWLOC_XMLFILE");
    if (variable)
        g_setenv(variable, value, TRUE);
    topology_read(ret);
    if (variable)
        g_unsetenv(variable);
}

static char *describe_core(const MachineCore *core)
{
    g_autofree char *cpus = machine_format_list(core->cpus, core->n_cpus);

    return g_strdup_printf("%u:%d:%s", core->package, core->node, cpus);
}

static void test_big(void)
{
    Machine machine;

    read_machine("HWLOC_SYNTHETIC", "pack:2 [numa(memory=137438953472)] core:32 pu:1", &machine);
    g_assert_cmpuint(machine.n_packages, ==, 2);
    g_assert_cmpuint(machine.n_cores, ==, 64);
    g_assert_cmpuint(machine_n_cpus(&machine), ==, 64);
    g_assert_cmpuint(machine.n_nodes, ==, 2);
    for (size_t i = 0; i < machine.n_cores; i++) {
        g_autofree char *core = describe_core(&machine.cores[i]);
        g_autofree char *expected = g_strdup_printf("%zu:%zu:%zu", i / 32, i / 32, i);
        g_assert_cmpstr(core, ==, expected);
    }
    for (size_t i = 0; i < machine.n_nodes; i++) {
        g_assert_cmpint(machine.nodes[i].number, ==, i);
        g_assert_cmpuint(machine.nodes[i].memory_bytes, ==, UINT64_C(128) << 30);
    }
    g_assert_cmpuint(machine.n_gpus, ==, 0);
    g_assert_null(machine.gpus);
    machine_done(&machine);
}

static void test_smt(void)
{
    static const char *const expected[] = { "0:0:0,4", "0:0:1,5", "0:0:2,6", "0:0:3,7" };
    Machine machine;

    /* numbered as Linux does it: the second threads after all of the first */
    read_machine("HWLOC_SYNTHETIC", "numa:1(memory=8589934592) core:4 pu:2(indexes=0,4,1,5,2,6,3,7)", &machine);
    g_assert_cmpuint(machine.n_packages, ==, 1);
    g_assert_cmpuint(machine.n_cores, ==, G_N_ELEMENTS(expected));
    g_assert_cmpuint(machine_n_cpus(&machine), ==, 8);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *core = describe_core(&machine.cores[i]);
        g_assert_cmpstr(core, ==, expected[i]);
    }
    machine_done(&machine);
}

static void test_one_core(void)
{
    Machine machine;

    read_machine("HWLOC_SYNTHETIC", "[numa] core:1 pu:1", &machine);
    g_assert_cmpuint(machine.n_packages, ==, 1);
    g_assert_cmpuint(machine.n_cores, ==, 1);
    g_assert_cmpuint(machine.n_nodes, ==, 0); /* it tells none */
    g_assert_null(machine.nodes);
    g_autofree char *core = describe_core(&machine.cores[0]);
    g_assert_cmpstr(core, ==, "0:-1:0");
    machine_done(&machine);
}

static void test_no_cores_told(void)
{
    Machine machine;

    read_machine("HWLOC_SYNTHETIC", "numa:1(memory=1073741824) pu:3", &machine);
    g_assert_cmpuint(machine.n_cores, ==, 3); /* each CPU is one */
    machine_done(&machine);
}

/* Fast memory beside the normal one, and a node with none at all near the CPUs. */
static void test_node_with_memory_is_preferred(void)
{
    Machine machine;

    read_machine("HWLOC_SYNTHETIC", "pack:1 [numa] [numa(memory=1073741824)] core:2 pu:1", &machine);
    g_assert_cmpuint(machine.n_nodes, ==, 2);
    g_assert_cmpint(machine.cores[0].node, ==, 1);
    machine_done(&machine);
}

static void test_gpus(void)
{
    static const MachineGpu expected[] = {
        { 0, (char *) "nvidia", (char *) "First Accelerator", (char *) "0000:01:00.0", (char *) "/dev/dri/renderD128", 0 },
        { 1, (char *) "nvidia", (char *) "Second Accelerator", (char *) "0000:21:00.0", NULL, 0 },
        { 0, (char *) "amd", (char *) "", (char *) "0000:81:00.0", (char *) "/dev/dri/renderD130", 1 },
        { 0, (char *) "intel", (char *) "", (char *) "0000:c0:02.0", (char *) "/dev/dri/renderD129", -1 },
    };
    Machine machine;

    read_machine("HWLOC_XMLFILE", MACHINE_GPUS, &machine);
    g_assert_cmpuint(machine.n_gpus, ==, G_N_ELEMENTS(expected)); /* not the screen of the management */
    for (size_t i = 0; i < machine.n_gpus; i++) {
        const MachineGpu *gpu = &machine.gpus[i];
        g_assert_cmpuint(gpu->index, ==, expected[i].index);
        g_assert_cmpstr(gpu->vendor, ==, expected[i].vendor);
        g_assert_cmpstr(gpu->name, ==, expected[i].name);
        g_assert_cmpstr(gpu->bus, ==, expected[i].bus);
        g_assert_cmpstr(gpu->device, ==, expected[i].device);
        g_assert_cmpint(gpu->node, ==, expected[i].node);
    }
    machine_done(&machine);
}

static void test_node_without_memory(void)
{
    Machine machine;

    read_machine("HWLOC_XMLFILE", MACHINE_GPUS, &machine);
    g_assert_cmpuint(machine.n_packages, ==, 2);
    g_assert_cmpuint(machine.n_nodes, ==, 2);
    g_assert_cmpuint(machine.nodes[0].memory_bytes, ==, UINT64_C(64) << 30);
    g_assert_cmpuint(machine.nodes[1].memory_bytes, ==, 0);
    g_assert_cmpuint(machine.n_cores, ==, 4);
    g_autofree char *last = describe_core(&machine.cores[3]);
    g_assert_cmpstr(last, ==, "1:1:6-7");
    machine_done(&machine);
}

/* ---- NVIDIA's own files ---- */

static char *make_root(void)
{
    char *root = g_dir_make_tmp("parexec-topology-XXXXXX", NULL);

    g_assert_nonnull(root);
    return root;
}

static void make_file(const char *root, const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(file);

    g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void remove_root(char *root)
{
    const char *const argv[] = { "rm", "-r", root, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(root);
}

static void read_gpus(const char *xml, const char *root, Machine *ret)
{
    hwloc_topology_t topology;

    *ret = (Machine) { 0 };
    g_assert_cmpint(hwloc_topology_init(&topology), ==, 0);
    g_assert_cmpint(xml ? hwloc_topology_set_xml(topology, xml) : hwloc_topology_set_synthetic(topology, "core:1 pu:1"), ==, 0);
    (void) hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    g_assert_cmpint(hwloc_topology_load(topology), ==, 0);
    gpus_read(topology, root, ret);
    hwloc_topology_destroy(topology);
}

static void test_driver(void)
{
    char *root = make_root();
    Machine machine;

    make_file(root, "proc/driver/nvidia/gpus/0000:21:00.0/information",
              "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 149\nDevice Minor: \t 3\n");
    make_file(root, "proc/driver/nvidia/gpus/0000:E1:00.0/information", "Model: \t\t Hidden\nDevice Minor: \t x\n");
    make_file(root, "proc/driver/nvidia/gpus/../../nonsense", "");
    make_file(root, "dev/nvidia7", ""); /* the bus tells more */
    read_gpus(MACHINE_GPUS, root, &machine);
    g_assert_cmpuint(machine.n_gpus, ==, 5);
    g_assert_cmpstr(machine.gpus[1].bus, ==, "0000:21:00.0");
    g_assert_cmpstr(machine.gpus[1].name, ==, "NVIDIA A100-SXM4-40GB");
    g_assert_cmpstr(machine.gpus[1].device, ==, "/dev/nvidia3");
    g_assert_cmpuint(machine.gpus[2].index, ==, 2);
    g_assert_cmpstr(machine.gpus[2].bus, ==, "0000:e1:00.0"); /* hwloc does not see it */
    g_assert_cmpstr(machine.gpus[2].name, ==, "Hidden");
    g_assert_null(machine.gpus[2].device);
    g_assert_cmpstr(machine.gpus[3].vendor, ==, "amd");
    machine_done(&machine);
    remove_root(root);
}

static void test_device_nodes(void)
{
    char *root = make_root();
    Machine machine;

    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = { "dev/nvidia10", "dev/nvidia2", "dev/nvidiactl" };
        make_file(root, names[i], "");
    }
    read_gpus(NULL, root, &machine);
    g_assert_cmpuint(machine.n_gpus, ==, 2);
    g_assert_cmpstr(machine.gpus[0].device, ==, "/dev/nvidia2");
    g_assert_cmpstr(machine.gpus[1].device, ==, "/dev/nvidia10");
    g_assert_cmpuint(machine.gpus[1].index, ==, 1);
    machine_done(&machine);
    read_gpus(NULL, NULL, &machine); /* of another machine nothing is asked */
    g_assert_cmpuint(machine.n_gpus, ==, 0);
    remove_root(root);
}

/* ---- this machine ---- */

static void test_here(void)
{
    Machine machine;
    cpu_set_t set;

    g_assert_cmpint(sched_getaffinity(0, sizeof set, &set), ==, 0);
    read_machine(NULL, NULL, &machine);
    g_assert_cmpuint(machine_n_cpus(&machine), ==, (guint) CPU_COUNT(&set));
    g_assert_cmpuint(machine.n_cores, >=, 1);
    g_assert_cmpuint(machine.n_cores, <=, machine_n_cpus(&machine));
    machine_done(&machine);
}

/* A daemon that is confined to one CPU has one. */
static void test_restricted(void)
{
    Machine machine;
    cpu_set_t before, one;
    uint32_t cpu = 0;

    g_assert_cmpint(sched_getaffinity(0, sizeof before, &before), ==, 0);
    CPU_ZERO(&one);
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_SET(cpu, &one);
    g_assert_cmpint(sched_setaffinity(0, sizeof one, &one), ==, 0);
    read_machine(NULL, NULL, &machine);
    g_assert_cmpuint(machine.n_cores, ==, 1);
    g_assert_cmpuint(machine.cores[0].n_cpus, ==, 1);
    g_assert_cmpuint(machine.cores[0].cpus[0], ==, cpu);
    machine_done(&machine);
    /* but of another machine it has what is described */
    read_machine("HWLOC_SYNTHETIC", "core:6 pu:1", &machine);
    g_assert_cmpint(sched_setaffinity(0, sizeof before, &before), ==, 0);
    g_assert_cmpuint(machine.n_cores, ==, 6);
    machine_done(&machine);
}

static void test_hwloc_fails(void)
{
    char *root = make_root();
    g_autofree char *path = g_build_filename(root, "broken.xml", NULL);
    Machine machine;
    cpu_set_t set;

    make_file(root, "broken.xml", "no topology\n");
    g_assert_cmpint(sched_getaffinity(0, sizeof set, &set), ==, 0);
    read_machine("HWLOC_XMLFILE", path, &machine);
    g_assert_cmpuint(machine.n_packages, ==, 1);
    g_assert_cmpuint(machine.n_cores, ==, (guint) CPU_COUNT(&set));
    g_assert_cmpuint(machine.cores[0].n_cpus, ==, 1);
    g_assert_true(CPU_ISSET(machine.cores[0].cpus[0], &set));
    g_assert_cmpint(machine.cores[0].node, ==, -1);
    g_assert_cmpuint(machine.n_nodes, ==, 0);
    machine_done(&machine);
    remove_root(root);
}

/* What is said while the machine is read as the variables describe it. */
static char *said_with(const char *variable, const char *value, size_t *ret_cores)
{
    g_autofree char *path = NULL;
    char *said = NULL;
    _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    _cleanup_close_ int fd = g_file_open_tmp("parexec-said-XXXXXX", &path, NULL);
    Machine machine;

    g_assert_cmpint(dup2(fd, STDERR_FILENO), >=, 0);
    read_machine(variable, value, &machine);
    g_assert_cmpint(dup2(saved, STDERR_FILENO), >=, 0);
    g_assert_true(g_file_get_contents(path, &said, NULL, NULL));
    g_assert_cmpint(g_unlink(path), ==, 0);
    *ret_cores = machine.n_cores;
    machine_done(&machine);
    return said;
}

/* hwloc takes this machine instead and says nothing, so it has to be said here. */
static void test_unusable_descriptions(void)
{
#define IGNORED(what) "<4>" what " describes no machine that hwloc could read: it is ignored.\n"
    static const struct {
        const char *variable, *value, *said;
        size_t cores; /* 0: those of this machine */
    } cases[] = {
        { "HWLOC_SYNTHETIC", "core:6 pu:1", "", 6 },
        { "HWLOC_SYNTHETIC", "", "", 0 },
        { "HWLOC_SYNTHETIC", "core:6", IGNORED("HWLOC_SYNTHETIC=core:6"), 0 },
        { "HWLOC_SYNTHETIC", "a\nb\x1b[31m", IGNORED("HWLOC_SYNTHETIC=a?b?[31m"), 0 },
        { "HWLOC_XMLFILE", MACHINE_GPUS, "", 4 },
        { "HWLOC_XMLFILE", "/nonexistent/machine.xml", IGNORED("HWLOC_XMLFILE=/nonexistent/machine.xml"), 0 },
        { "HWLOC_XMLFILE", "", "", 0 },
    };
#undef IGNORED
    size_t n_here, n;
    g_autofree char *nothing = said_with(NULL, NULL, &n_here);

    g_assert_cmpstr(nothing, ==, "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = said_with(cases[i].variable, cases[i].value, &n);
        g_assert_cmpstr(said, ==, cases[i].said);
        g_assert_cmpuint(n, ==, cases[i].cores > 0 ? cases[i].cores : n_here);
    }
}

static void test_unusable_xml(void)
{
    char *root = make_root();
    g_autofree char *path = g_build_filename(root, "broken.xml", NULL);
    size_t n;

    make_file(root, "broken.xml", "no topology\n");
    g_autofree char *said = said_with("HWLOC_XMLFILE", path, &n), *first = g_strdup_printf("<4>HWLOC_XMLFILE=%s describes no", path);
    g_assert_true(g_str_has_prefix(said, first));
    g_assert_nonnull(strstr(said, "each of its"));
    remove_root(root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/big", test_big);
    g_test_add_func("/topology/smt", test_smt);
    g_test_add_func("/topology/one-core", test_one_core);
    g_test_add_func("/topology/no-cores-told", test_no_cores_told);
    g_test_add_func("/topology/node-with-memory-is-preferred", test_node_with_memory_is_preferred);
    g_test_add_func("/topology/gpus", test_gpus);
    g_test_add_func("/topology/node-without-memory", test_node_without_memory);
    g_test_add_func("/topology/driver", test_driver);
    g_test_add_func("/topology/device-nodes", test_device_nodes);
    g_test_add_func("/topology/here", test_here);
    g_test_add_func("/topology/restricted", test_restricted);
    g_test_add_func("/topology/hwloc-fails", test_hwloc_fails);
    g_test_add_func("/topology/unusable-descriptions", test_unusable_descriptions);
    g_test_add_func("/topology/unusable-xml", test_unusable_xml);
    return g_test_run();
}
