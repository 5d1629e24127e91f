/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* admission.c: tables of facts and the verdicts they give. */
#include "policy/admission.h"

#include <math.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* A machine of which nothing is known but what a case says: what it says goes before. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define FACTS(...)                                                                                           \
    ((AdmissionFacts){ .max_workers = 64,                                                                    \
                       .user_max = UINT32_MAX,                                                               \
                       .user_max_bytes = UINT64_MAX,                                                         \
                       .group_cpus = INFINITY,                                                               \
                       .available_bytes = UINT64_MAX,                                                        \
                       .group_free_bytes = UINT64_MAX,                                                       \
                       .worker_cores = 1,                                                                    \
                       .memory_max_bytes = 2 * GIB,                                                          \
                       __VA_ARGS__ })

typedef struct Case {
    AdmissionFacts facts;
    AdmissionVerdict verdict;
    const char *why; /* NULL: admitted */
    uint32_t admissible;
    const char *binding;
} Case;

static void check(const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g_autofree char *why = (char *) 1;
        const char *binding = NULL;
        g_test_message("case %zu", i);
        g_assert_cmpint(admission_decide(&cases[i].facts, &why), ==, cases[i].verdict);
        g_assert_cmpstr(why, ==, cases[i].why);
        g_assert_cmpuint(admission_admissible(&cases[i].facts, &binding), ==, cases[i].admissible);
        g_assert_cmpstr(binding, ==, cases[i].binding);
    }
}

static void test_numbers(void)
{
    const Case cases[] = {
        { FACTS(.max_workers = 4), ADMITTED, NULL, 4, "max-workers" },
        { FACTS(.active = 3, .max_workers = 4), ADMITTED, NULL, 4, "max-workers" },
        { FACTS(.active = 4, .max_workers = 4), REFUSED_TOO_MANY_WORKERS, "4 of at most 4 workers run already", 4,
          "max-workers" },
        { FACTS(.active = 9, .max_workers = 4, .force = true), REFUSED_TOO_MANY_WORKERS,
          "9 of at most 4 workers run already", 4, "max-workers" },
        { FACTS(.max_workers = 0, .force = true), REFUSED_TOO_MANY_WORKERS, "0 of at most 0 workers run already", 0,
          "max-workers" },
        { FACTS(.active = UINT32_MAX - 1, .max_workers = UINT32_MAX), ADMITTED, NULL, UINT32_MAX, "max-workers" },
        { FACTS(.active = 10, .user_active = 1, .user_max = 3), ADMITTED, NULL, 12, "user-share" },
        { FACTS(.active = 10, .user_active = 3, .user_max = 3), REFUSED_USER_SHARE,
          "3 of at most 3 private workers of this user run already", 10, "user-share" },
        { FACTS(.active = 10, .user_active = 5, .user_max = 3, .force = true), REFUSED_USER_SHARE,
          "5 of at most 3 private workers of this user run already", 10, "user-share" },
        { FACTS(.user_max = 0, .force = true), REFUSED_USER_SHARE,
          "0 of at most 0 private workers of this user run already", 0, "user-share" },
        { FACTS(.active = 2, .user_committed_bytes = 4 * GIB, .user_max_bytes = 8 * GIB), ADMITTED, NULL, 4, "user-share" },
        { FACTS(.active = 2, .user_committed_bytes = 7 * GIB, .user_max_bytes = 8 * GIB, .force = true),
          REFUSED_USER_MEMORY,
          "needs 2.0G; the private workers of this user may have 8.0G in all, and 7.0G of it is promised", 2, "user-share" },
        { FACTS(.user_committed_bytes = UINT64_MAX, .user_max_bytes = 8 * GIB, .memory_max_bytes = GIB), REFUSED_USER_MEMORY,
          "needs 1.0G; the private workers of this user may have 8.0G in all, and one of them has no limit", 0, "user-share" },
        { FACTS(.user_max_bytes = 8 * GIB, .memory_max_bytes = UINT64_MAX), REFUSED_USER_MEMORY,
          "private workers need a limit of memory here: those of one user may have 8.0G in all", 0, "user-share" },
        { FACTS(.user_max_bytes = 2 * GIB, .user_committed_bytes = 0), ADMITTED, NULL, 1, "user-share" },
    };

    check(cases, G_N_ELEMENTS(cases));
}

static void test_cores(void)
{
    const Case cases[] = {
        { FACTS(.cores = 8), ADMITTED, NULL, 8, "cores" },
        { FACTS(.cores = 8, .active = 7, .cores_taken = 7), ADMITTED, NULL, 8, "cores" },
        { FACTS(.cores = 8, .active = 8, .cores_taken = 8, .threads = 16), REFUSED_CORES,
          "needs 1 core; of 8 physical cores, 8 taken; UseSMT=yes would count 16 hardware threads", 8, "cores" },
        { FACTS(.cores = 8, .active = 8, .cores_taken = 8, .threads = 8), REFUSED_CORES,
          "needs 1 core; of 8 physical cores, 8 taken", 8, "cores" },
        { FACTS(.cores = 16, .active = 16, .cores_taken = 16, .threads = 16, .use_smt = true), REFUSED_CORES,
          "needs 1 core; of 16 hardware threads, 16 taken", 16, "cores" },
        { FACTS(.cores = 8, .active = 8, .cores_taken = 8, .force = true), ADMITTED, NULL, 8, "cores" },
        { FACTS(.cores = 8, .active = 3, .cores_taken = 7.5, .worker_cores = 0.5), ADMITTED, NULL, 4, "cores" },
        { FACTS(.cores = 8, .active = 3, .cores_taken = 7.5, .worker_cores = 0.75), REFUSED_CORES,
          "needs 0.75 cores; of 8 physical cores, 7.5 taken", 3, "cores" },
        /* a tenth and two tenths are a little more than three */
        { FACTS(.cores = 1, .active = 2, .cores_taken = 0.1 + 0.2, .worker_cores = 0.1), ADMITTED, NULL, 9, "cores" },
        { FACTS(.cores = 4, .worker_cores = 8), REFUSED_CORES, "needs 8 cores; of 4 physical cores, 0 taken", 0,
          "cores" },
        { FACTS(.cores = 64, .group_cpus = 2.5, .active = 1, .cores_taken = 1), ADMITTED, NULL, 2, "cgroup-cpu" },
        { FACTS(.cores = 64, .group_cpus = 2.5, .active = 2, .cores_taken = 2), REFUSED_CORES,
          "needs 1 core; of the 2.5 that the cgroups above the workers allow, 2 taken", 2, "cgroup-cpu" },
        /* half a CPU carries one worker without a quota, and then no more */
        { FACTS(.cores = 64, .group_cpus = 0.5), ADMITTED, NULL, 1, "cgroup-cpu" },
        { FACTS(.cores = 64, .group_cpus = 0.5, .active = 1, .cores_taken = 1), REFUSED_CORES,
          "needs 1 core; of the 0.5 that the cgroups above the workers allow, 1 taken", 1, "cgroup-cpu" },
        { FACTS(.cores = 64, .group_cpus = 0.5, .worker_cores = 2), REFUSED_CORES,
          "needs 2 cores; of the 0.5 that the cgroups above the workers allow, 0 taken", 0, "cgroup-cpu" },
        { FACTS(.cores = 0, .active = 40, .cores_taken = 1000), ADMITTED, NULL, 64, "max-workers" }, /* not known */
        { FACTS(.cores = 1, .cores_taken = 9, .active = 9), REFUSED_CORES,
          "needs 1 core; of 1 physical core, 9 taken", 9, "cores" },
        { FACTS(.cores = 4, .worker_cores = 0), ADMITTED, NULL, 64, "max-workers" },
        { FACTS(.cores = 1e12, .max_workers = UINT32_MAX), ADMITTED, NULL, UINT32_MAX, "max-workers" },
        { FACTS(.cores = 4, .worker_cores = 1e-9), ADMITTED, NULL, 64, "max-workers" },
    };

    check(cases, G_N_ELEMENTS(cases));
}

static void test_memory(void)
{
    const Case cases[] = {
        { FACTS(.available_bytes = 16 * GIB, .reserve_bytes = GIB), ADMITTED, NULL, 7, "memory" },
        { FACTS(.available_bytes = 3 * GIB, .reserve_bytes = GIB), ADMITTED, NULL, 1, "memory" },
        { FACTS(.available_bytes = 3 * GIB - 1, .reserve_bytes = GIB), REFUSED_MEMORY,
          "needs 2.0G; 3.0G free, of it 1.0G kept for the system, 0B still due to running workers", 0, "memory" },
        /* 20G are free, but three workers have only begun to use what they were promised */
        { FACTS(.active = 3, .available_bytes = 20 * GIB, .reserve_bytes = GIB, .committed_bytes = 16 * GIB,
                .memory_max_bytes = 8 * GIB),
          REFUSED_MEMORY, "needs 8.0G; 20.0G free, of it 1.0G kept for the system, 16.0G still due to running workers", 3,
          "memory" },
        { FACTS(.active = 3, .available_bytes = 20 * GIB, .reserve_bytes = GIB, .committed_bytes = 3 * GIB,
                .memory_max_bytes = 8 * GIB),
          ADMITTED, NULL, 5, "memory" },
        { FACTS(.active = 2, .available_bytes = 3 * GIB, .reserve_bytes = GIB, .memory_max_bytes = 8 * GIB,
                .force = true),
          ADMITTED, NULL, 2, "memory" },
        { FACTS(.active = 2, .available_bytes = 512, .reserve_bytes = GIB, .memory_max_bytes = 8 * GIB), REFUSED_MEMORY,
          "needs 8.0G; 512B free, of it 1.0G kept for the system, 0B still due to running workers", 2, "memory" },
        { FACTS(.active = 2, .available_bytes = 10 * GIB, .reserve_bytes = UINT64_MAX), REFUSED_MEMORY,
          "needs 2.0G; 10.0G free, of it infinity kept for the system, 0B still due to running workers", 2, "memory" },
        { FACTS(.active = 2, .available_bytes = 10 * GIB, .committed_bytes = UINT64_MAX - 1), REFUSED_MEMORY,
          "needs 2.0G; 10.0G free, of it 0B kept for the system, 16.0E still due to running workers", 2, "memory" },
        /* unlimited counts as nothing */
        { FACTS(.active = 2, .available_bytes = 10 * GIB, .memory_max_bytes = UINT64_MAX), ADMITTED, NULL, 64,
          "max-workers" },
        { FACTS(.active = 2, .available_bytes = 10 * GIB, .memory_max_bytes = 0), ADMITTED, NULL, 64, "max-workers" },
        { FACTS(.active = 2, .reserve_bytes = GIB, .memory_max_bytes = 8 * GIB), ADMITTED, NULL, 64,
          "max-workers" }, /* not known */
        { FACTS(.active = 2, .available_bytes = UINT64_MAX - 1, .memory_max_bytes = 1), ADMITTED, NULL, 64,
          "max-workers" },
        { FACTS(.active = 2, .available_bytes = 10 * GIB, .reserve_bytes = GIB, .memory_max_bytes = UINT64_MAX - 1),
          REFUSED_MEMORY, "needs 16.0E; 10.0G free, of it 1.0G kept for the system, 0B still due to running workers", 2,
          "memory" },
        /* a container on a large machine */
        { FACTS(.active = 1, .available_bytes = 500 * GIB, .reserve_bytes = GIB, .committed_bytes = GIB,
                .group_free_bytes = 4 * GIB),
          ADMITTED, NULL, 2, "cgroup-memory" },
        { FACTS(.active = 2, .available_bytes = 500 * GIB, .reserve_bytes = GIB, .committed_bytes = 3 * GIB,
                .group_free_bytes = 4 * GIB),
          REFUSED_MEMORY,
          "needs 2.0G; 4.0G free below the limits of the cgroups above the workers, of it 3.0G still due to running workers",
          2, "cgroup-memory" },
        { FACTS(.group_free_bytes = 0), REFUSED_MEMORY,
          "needs 2.0G; 0B free below the limits of the cgroups above the workers, of it 0B still due to running workers", 0,
          "cgroup-memory" },
        /* both bind: the machine is told of */
        { FACTS(.available_bytes = GIB, .group_free_bytes = GIB), REFUSED_MEMORY,
          "needs 2.0G; 1.0G free, of it 0B kept for the system, 0B still due to running workers", 0, "memory" },
        /* cores are judged before memory */
        { FACTS(.cores = 1, .active = 1, .cores_taken = 1, .available_bytes = 1), REFUSED_CORES,
          "needs 1 core; of 1 physical core, 1 taken", 1, "cores" },
    };

    check(cases, G_N_ELEMENTS(cases));
}

/* The bound that is told and the verdict agree: with one more than admissible it is refused, with one fewer it is not. */
static void test_agreement(void)
{
    for (uint32_t active = 0; active < 40; active++) {
        AdmissionFacts facts = FACTS(.active = active, .max_workers = 32, .user_active = active, .user_max = 30, .cores = 24,
                                     .cores_taken = active, .available_bytes = 64 * GIB - active * 512 * MIB,
                                     .reserve_bytes = 2 * GIB, .committed_bytes = active * 1536 * MIB);
        const char *binding;
        g_autofree char *why = NULL;
        uint32_t admissible = admission_admissible(&facts, &binding);
        g_assert_cmpint(admission_decide(&facts, &why) == ADMITTED, ==, admissible > active);
        if (active <= 24)
            g_assert_cmpuint(admissible, ==, 24);
    }
}

/* Of the cgroup that all workers are in, and of a slice that only some are in, the one with room for less. */
static void test_slices(void)
{
    static const struct {
        AdmissionSlice slice;
        const char *why;
        uint32_t admissible;
        const char *binding;
    } cases[] = {
        { { .cpus = INFINITY, .free_bytes = UINT64_MAX }, NULL, 6, "cgroup-memory" },
        { { .cpus = INFINITY, .free_bytes = 5 * GIB, .committed_bytes = GIB }, NULL, 6, "cgroup-memory" },
        { { .cpus = INFINITY, .free_bytes = 4 * GIB, .committed_bytes = GIB }, NULL, 5, "cgroup-memory" },
        { { .cpus = INFINITY, .free_bytes = 3 * GIB, .committed_bytes = 2 * GIB },
          "needs 2.0G; 3.0G free below the limits of the cgroups above the workers, of it 2.0G still due to running workers", 4,
          "cgroup-memory" },
        { { .cpus = INFINITY, .free_bytes = 0 },
          "needs 2.0G; 0B free below the limits of the cgroups above the workers, of it 0B still due to running workers", 4,
          "cgroup-memory" },
        { { .cpus = 2, .cores_taken = 1, .free_bytes = UINT64_MAX }, NULL, 5, "cgroup-cpu" },
        { { .cpus = 4, .cores_taken = 1, .free_bytes = UINT64_MAX }, NULL, 6, "cgroup-memory" },
        { { .cpus = 1.2, .cores_taken = 1, .free_bytes = UINT64_MAX },
          "needs 1 core; of the 1.2 that the cgroups above the workers allow, 1 taken", 4, "cgroup-cpu" },
        { { .cpus = 0.5, .free_bytes = UINT64_MAX }, NULL, 5, "cgroup-cpu" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AdmissionFacts facts = FACTS(.active = 4, .group_cpus = 8, .cores_taken = 4, .group_free_bytes = 8 * GIB,
                                     .committed_bytes = 4 * GIB);
        g_autofree char *why = NULL;
        const char *binding;
        g_test_message("case %zu", i);
        admission_add_slice(&facts, &cases[i].slice);
        g_assert_cmpint(admission_decide(&facts, &why) == ADMITTED, ==, cases[i].why == NULL);
        g_assert_cmpstr(why, ==, cases[i].why);
        g_assert_cmpuint(admission_admissible(&facts, &binding), ==, cases[i].admissible);
        g_assert_cmpstr(binding, ==, cases[i].binding);
    }
    /* where the slice has more room the cgroups above it are asked as before, with all the workers */
    AdmissionFacts tight = FACTS(.active = 4, .group_cpus = 4, .cores_taken = 4);
    g_autofree char *why = NULL;
    admission_add_slice(&tight, &(AdmissionSlice){ .cpus = 4, .cores_taken = 3, .free_bytes = UINT64_MAX });
    g_assert_cmpint(admission_decide(&tight, &why), ==, REFUSED_CORES);
    g_assert_cmpstr(why, ==, "needs 1 core; of the 4 that the cgroups above the workers allow, 4 taken");
}

static void test_slice_risks(void)
{
    AdmissionFacts facts = FACTS(.active = 9, .cores = 16, .cores_taken = 9, .available_bytes = 64 * GIB);

    admission_add_slice(&facts, &(AdmissionSlice){ .cpus = 2, .cores_taken = 2, .free_bytes = UINT64_MAX });
    g_auto(GStrv) risks = admission_risks(&facts);
    g_assert_cmpuint(g_strv_length(risks), ==, 1);
    g_assert_cmpstr(risks[0], ==, "The workers may use 3 cores at once where there are 2: all of them, and whoever works at this "
                                  "machine, may get as little as 66 % of their speed.");
}

static void test_worker_cores(void)
{
    g_assert_cmpfloat(admission_cores(UINT64_MAX), ==, 1);
    g_assert_cmpfloat(admission_cores(USEC_PER_SEC / 2), ==, 0.5);
    g_assert_cmpfloat(admission_cores(USEC_PER_SEC * 4), ==, 4);
}

static void test_risks(void)
{
    const struct {
        AdmissionFacts facts;
        const char *sentences;
    } cases[] = {
        { FACTS(.cores = 4, .available_bytes = 8 * GIB), "" },
        { FACTS(.max_workers = 0), "" }, /* force is of no use there */
        { FACTS(.cores = 4, .cores_taken = 4, .active = 4),
          "The workers may use 5 cores at once where there are 4: all of them, and whoever works at this machine, may get as "
          "little as 80 % of their speed." },
        { FACTS(.cores = 4, .group_cpus = 1.5, .cores_taken = 1, .active = 1, .worker_cores = 2),
          "The workers may use 3 cores at once where there are 1.5: all of them, and whoever works at this machine, may get as "
          "little as 50 % of their speed." },
        { FACTS(.available_bytes = 3 * GIB, .reserve_bytes = GIB, .committed_bytes = GIB, .force = true),
          "The workers may take 1.0G more memory than the machine can give them.\n"
          "The machine may become slow, and the kernel may kill other programs: the 1.0G kept for the system would not be "
          "safe.\n"
          "The kernel may kill running tasks; what they have done would be lost." },
        { FACTS(.available_bytes = 30 * GIB, .group_free_bytes = 512 * MIB),
          "The workers may take 1.5G more memory than the cgroups above them are allowed.\n"
          "The kernel may kill running tasks; what they have done would be lost." },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) risks = admission_risks(&cases[i].facts);
        g_autofree char *joined = g_strjoinv("\n", risks);
        g_assert_cmpstr(joined, ==, cases[i].sentences);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/admission/numbers", test_numbers);
    g_test_add_func("/admission/cores", test_cores);
    g_test_add_func("/admission/memory", test_memory);
    g_test_add_func("/admission/agreement", test_agreement);
    g_test_add_func("/admission/worker-cores", test_worker_cores);
    g_test_add_func("/admission/risks", test_risks);
    g_test_add_func("/admission/slices", test_slices);
    g_test_add_func("/admission/slice-risks", test_slice_risks);
    return g_test_run();
}
