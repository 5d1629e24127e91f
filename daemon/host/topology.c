/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processors, through hwloc, restricted to those that this process may run on. */
#include "host/topology.h"

#include <hwloc.h>
#include <sched.h>

static uint32_t count(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, hwloc_obj_type_t type)
{
    int n = hwloc_get_nbobjs_inside_cpuset_by_type(topology, allowed, type);

    return n > 0 ? (uint32_t) n : 0;
}

/* Cores that are allowed in part count too: one of their threads is enough to work. */
static uint32_t count_cores(hwloc_topology_t topology, hwloc_const_cpuset_t allowed)
{
    hwloc_obj_t core = NULL;
    uint32_t n = 0;

    while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)))
        n += hwloc_bitmap_intersects(core->cpuset, allowed) != 0;
    return n;
}

static bool read_hwloc(hwloc_topology_t topology, hwloc_bitmap_t mine, Topology *ret)
{
    if (hwloc_topology_load(topology) < 0)
        return false;
    if (hwloc_get_cpubind(topology, mine, HWLOC_CPUBIND_PROCESS) < 0)
        hwloc_bitmap_copy(mine, hwloc_topology_get_allowed_cpuset(topology));
    hwloc_bitmap_and(mine, mine, hwloc_topology_get_allowed_cpuset(topology));
    *ret = (Topology) { .cpus = count(topology, mine, HWLOC_OBJ_PU), .cores = count_cores(topology, mine) };
    return ret->cpus > 0;
}

/* Where hwloc finds nothing (no /sys), the scheduler still knows. */
static uint32_t count_affinity(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t) CPU_COUNT(&set) : 1;
}

void topology_read(Topology *ret)
{
    hwloc_topology_t topology;
    Topology found = { 0 };

    if (hwloc_topology_init(&topology) == 0) {
        hwloc_bitmap_t mine = hwloc_bitmap_alloc();
        if (!mine || !read_hwloc(topology, mine, &found))
            found = (Topology) { 0 };
        hwloc_bitmap_free(mine);
        hwloc_topology_destroy(topology);
    }
    ret->cpus = found.cpus > 0 ? found.cpus : MAX(1U, count_affinity());
    ret->cores = found.cores > 0 ? found.cores : ret->cpus;
}
