/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits in the kernel's terms, for both versions of cgroups. One table says for each limit which
 * controller enforces it, in which file, and how the two are compared. A limit holds if the kernel's value
 * is as strict or stricter. */
#include "engine/limit-check.h"
#include "util/parse-util.h"

#include <inttypes.h>
#include <string.h>

#define CPU_MASK_BYTES 1024U /* 8192 CPUs */
#define CPU_PERIOD_USEC UINT64_C(100000)
#define CPU_QUOTA_MIN_USEC UINT64_C(1000)

typedef struct LimitKind LimitKind;
struct LimitKind {
    const char *label;
    CgroupController controller;
    const char *files[2]; /* v1, v2; NULL: this version has none */
    bool (*wanted)(const WorkerLimits *limits);
    char *(*format)(const WorkerLimits *limits, bool unified); /* what is to be written */
    char *(*deviation)(const WorkerLimits *limits, const char *value, bool unified); /* NULL: it holds */
};

/* ---- memory and processes: a number of bytes or tasks ---- */

static bool wants_memory_max(const WorkerLimits *limits)
{
    return limits->memory_max_bytes != LIMIT_INFINITY;
}

static bool wants_memory_high(const WorkerLimits *limits)
{
    return limits->memory_high_bytes != LIMIT_INFINITY;
}

static bool wants_tasks_max(const WorkerLimits *limits)
{
    return limits->tasks_max != LIMIT_INFINITY;
}

static char *format_memory_max(const WorkerLimits *limits, bool unified)
{
    return g_strdup_printf("%" PRIu64, limits->memory_max_bytes);
}

static char *format_memory_high(const WorkerLimits *limits, bool unified)
{
    return g_strdup_printf("%" PRIu64, limits->memory_high_bytes);
}

static char *format_tasks_max(const WorkerLimits *limits, bool unified)
{
    return g_strdup_printf("%" PRIu64, limits->tasks_max);
}

/* The kernel rounds down to pages, so "at most" is what to ask for. */
static char *deviation_bytes(uint64_t wanted, const char *value)
{
    uint64_t has;

    if (parse_uint64(value, &has) < 0)
        return g_strdup("the kernel has no limit");
    if (has <= wanted)
        return NULL;
    g_autofree char *has_text = format_bytes(has), *wanted_text = format_bytes(wanted);
    return g_strdup_printf("the kernel has %s, not %s", has_text, wanted_text);
}

static char *deviation_memory_max(const WorkerLimits *limits, const char *value, bool unified)
{
    return deviation_bytes(limits->memory_max_bytes, value);
}

static char *deviation_memory_high(const WorkerLimits *limits, const char *value, bool unified)
{
    return deviation_bytes(limits->memory_high_bytes, value);
}

static char *deviation_tasks_max(const WorkerLimits *limits, const char *value, bool unified)
{
    uint64_t has;

    if (parse_uint64(value, &has) < 0)
        return g_strdup("the kernel has no limit");
    if (has <= limits->tasks_max)
        return NULL;
    return g_strdup_printf("the kernel has %" PRIu64 ", not %" PRIu64, has, limits->tasks_max);
}

/* ---- CPU time ---- */

static bool wants_cpu_quota(const WorkerLimits *limits)
{
    return limits->cpu_quota_usec_per_sec != LIMIT_INFINITY;
}

static bool wants_cpu_weight(const WorkerLimits *limits)
{
    return limits->cpu_weight != 0;
}

static char *format_cpu_quota(const WorkerLimits *limits, bool unified)
{
    uint64_t quota = limits->cpu_quota_usec_per_sec / (USEC_PER_SEC / CPU_PERIOD_USEC);

    quota = MAX(quota, CPU_QUOTA_MIN_USEC);
    if (unified)
        return g_strdup_printf("%" PRIu64 " %" PRIu64, quota, CPU_PERIOD_USEC);
    return g_strdup_printf("%" PRIu64, quota);
}

/* v2: "50000 100000"; v1: the quota alone, for a period of 100 ms, which nobody changes here. */
static char *deviation_cpu_quota(const WorkerLimits *limits, const char *value, bool unified)
{
    g_auto(GStrv) words = g_strsplit(value, " ", 2);
    uint64_t quota, period = CPU_PERIOD_USEC;

    if (!words[0] || parse_uint64(words[0], &quota) < 0 ||
        (words[1] && parse_uint64(words[1], &period) < 0) || period == 0)
        return g_strdup("the kernel has no limit");
    double has = (double) quota / (double) period,
           wanted = (double) limits->cpu_quota_usec_per_sec / USEC_PER_SEC;
    if (has <= wanted + 1.0 / (double) period)
        return NULL;
    return g_strdup_printf("the kernel has %.2f CPUs, not %.2f", has, wanted);
}

/* The default weight is 100 on v2 and 1024 on v1. */
static uint64_t weight_to_kernel(uint64_t weight, bool unified)
{
    return unified ? weight : CLAMP(weight * 1024 / 100, 2, 262144);
}

static char *format_cpu_weight(const WorkerLimits *limits, bool unified)
{
    return g_strdup_printf("%" PRIu64, weight_to_kernel(limits->cpu_weight, unified));
}

static char *deviation_cpu_weight(const WorkerLimits *limits, const char *value, bool unified)
{
    uint64_t has, wanted = weight_to_kernel(limits->cpu_weight, unified);

    if (parse_uint64(value, &has) == 0 && has == wanted)
        return NULL;
    return g_strdup_printf("the kernel has %s, not %" PRIu64, value, wanted);
}

/* ---- CPUs ---- */

static bool wants_cpus(const WorkerLimits *limits)
{
    return limits->allowed_cpus != NULL;
}

static char *format_cpus(const WorkerLimits *limits, bool unified)
{
    return g_strdup(limits->allowed_cpus);
}

GByteArray *limit_cpu_mask(const char *list)
{
    g_autoptr(GByteArray) mask = g_byte_array_new();
    g_auto(GStrv) ranges = g_strsplit(list, ",", -1);

    for (char **range = ranges; *range; range++) {
        g_auto(GStrv) ends = g_strsplit(*range, "-", 2);
        uint64_t first, last;
        if (!ends[0] || parse_uint64(ends[0], &first) < 0)
            return NULL;
        last = first;
        if ((ends[1] && parse_uint64(ends[1], &last) < 0) || last < first || last >= CPU_MASK_BYTES * 8)
            return NULL;
        guint old = mask->len;
        if (old < last / 8 + 1) {
            g_byte_array_set_size(mask, (guint) (last / 8 + 1));
            memset(mask->data + old, 0, mask->len - old);
        }
        for (uint64_t cpu = first; cpu <= last; cpu++)
            mask->data[cpu / 8] |= (guint8) (1U << (cpu % 8));
    }
    return mask->len > 0 ? g_steal_pointer(&mask) : NULL;
}

static char *deviation_cpus(const WorkerLimits *limits, const char *value, bool unified)
{
    g_autoptr(GByteArray) has = limit_cpu_mask(value), wanted = limit_cpu_mask(limits->allowed_cpus);
    bool holds = has && wanted;

    for (guint i = 0; holds && i < has->len; i++)
        holds = (has->data[i] & ~(i < wanted->len ? wanted->data[i] : 0)) == 0;
    if (holds)
        return NULL;
    return g_strdup_printf("the kernel allows %s, not %s", *value ? value : "all", limits->allowed_cpus);
}

/* ---- the table ---- */

static const LimitKind kinds[] = {
    { "memory limit", CGROUP_MEMORY, { "memory.limit_in_bytes", "memory.max" },
      wants_memory_max, format_memory_max, deviation_memory_max },
    { "MemoryHigh", CGROUP_MEMORY, { NULL, "memory.high" },
      wants_memory_high, format_memory_high, deviation_memory_high },
    { "CPU quota", CGROUP_CPU, { "cpu.cfs_quota_us", "cpu.max" },
      wants_cpu_quota, format_cpu_quota, deviation_cpu_quota },
    { "CPU weight", CGROUP_CPU, { "cpu.shares", "cpu.weight" },
      wants_cpu_weight, format_cpu_weight, deviation_cpu_weight },
    { "allowed CPUs", CGROUP_CPUSET, { "cpuset.effective_cpus", "cpuset.cpus.effective" },
      wants_cpus, format_cpus, deviation_cpus },
    { "task limit", CGROUP_PIDS, { "pids.max", "pids.max" },
      wants_tasks_max, format_tasks_max, deviation_tasks_max },
};

static char *kind_check(const LimitKind *kind, const WorkerLimits *limits, const LimitSource *source)
{
    const char *controller = cgroup_controller_to_string(kind->controller);
    int version = source->version(kind->controller, source->userdata);
    g_autofree char *value = NULL;

    if (version == 0)
        return g_strdup_printf("no %s controller in this worker's cgroup", controller);
    const char *file = kind->files[version - 1];
    if (!file)
        return g_strdup_printf("cgroup v%d has no %s", version, kind->files[2 - version]);
    int r = source->read(kind->controller, file, &value, source->userdata);
    if (r == -ENOENT)
        return g_strdup_printf("no %s controller in this worker's cgroup", controller);
    if (r < 0)
        return g_strdup_printf("%s cannot be read: %s", file, g_strerror(-r));
    return kind->deviation(limits, value, version == 2);
}

static char *not_enforced(const LimitKind *kind, const char *reason)
{
    return g_strdup_printf("%s: not enforced (%s)", kind->label, reason);
}

/* A memory limit that holds can still mean nothing but swapping: v2 limits swap apart, v1 both together. */
static char *swap_check(const WorkerLimits *limits, const LimitSource *source)
{
    bool unified = source->version(CGROUP_MEMORY, source->userdata) == 2;
    const char *file = unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
    g_autofree char *value = NULL;
    uint64_t has;

    if (!source->has_swap || !wants_memory_max(limits))
        return NULL;
    int r = source->read(CGROUP_MEMORY, file, &value, source->userdata);
    if (r >= 0 && parse_uint64(value, &has) == 0 && has <= (unified ? 0 : limits->memory_max_bytes))
        return NULL;
    return g_strdup_printf("memory limit: not enforced for swap (%s is %s)", file, r < 0 ? "missing" : value);
}

char **limit_check(const WorkerLimits *limits, const LimitSource *source)
{
    g_autoptr(GStrvBuilder) sentences = g_strv_builder_new();
    bool memory_holds = true;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *reason = kinds[i].wanted(limits) ? kind_check(&kinds[i], limits, source) : NULL;
        if (!reason)
            continue;
        g_autofree char *sentence = not_enforced(&kinds[i], reason);
        g_strv_builder_add(sentences, sentence);
        memory_holds = memory_holds && kinds[i].wanted != wants_memory_max;
    }
    g_autofree char *swap = memory_holds ? swap_check(limits, source) : NULL;
    if (swap)
        g_strv_builder_add(sentences, swap);
    return g_strv_builder_end(sentences);
}

char **limit_check_none(const WorkerLimits *limits, const char *reason)
{
    g_autoptr(GStrvBuilder) sentences = g_strv_builder_new();

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!kinds[i].wanted(limits))
            continue;
        g_autofree char *sentence = not_enforced(&kinds[i], reason);
        g_strv_builder_add(sentences, sentence);
    }
    return g_strv_builder_end(sentences);
}

uint32_t limit_controllers(const WorkerLimits *limits)
{
    uint32_t controllers = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (kinds[i].wanted(limits))
            controllers |= CGROUP_BIT(kinds[i].controller);
    return controllers;
}

/* ---- writing ---- */

static void setting_clear(void *data)
{
    g_free(((LimitSetting *) data)->value);
}

static void settings_add(GArray *settings, CgroupController controller, const char *file, char *value)
{
    LimitSetting setting = { .controller = controller, .file = file, .value = value };

    g_array_append_val(settings, setting);
}

/* The file that is written is not always the one that tells what came of it. */
static const char *written_file(const LimitKind *kind, bool unified)
{
    if (kind->controller == CGROUP_CPUSET)
        return "cpuset.cpus";
    return kind->files[unified];
}

GArray *limit_settings(const WorkerLimits *limits, uint32_t controllers, bool unified)
{
    GArray *settings = g_array_new(FALSE, FALSE, sizeof(LimitSetting));

    g_array_set_clear_func(settings, setting_clear);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const LimitKind *kind = &kinds[i];
        if ((controllers & CGROUP_BIT(kind->controller)) && kind->wanted(limits) && kind->files[unified])
            settings_add(settings, kind->controller, written_file(kind, unified),
                         kind->format(limits, unified));
    }
    /* Else reaching the limit would only mean swapping. */
    if ((controllers & CGROUP_BIT(CGROUP_MEMORY)) && wants_memory_max(limits)) {
        if (unified)
            settings_add(settings, CGROUP_MEMORY, "memory.swap.max", g_strdup("0"));
        else
            settings_add(settings, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
                         format_memory_max(limits, false));
    }
    return settings;
}
