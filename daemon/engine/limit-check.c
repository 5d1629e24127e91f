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
    const char *none[2];  /* what lifts it */
    const char *other;    /* the v2 file of another mechanism that does the same; may_fail both */
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

static char *deviation_list(const char *list, const char *value)
{
    g_autoptr(GByteArray) has = limit_cpu_mask(value), wanted = limit_cpu_mask(list);
    bool holds = has && wanted;

    for (guint i = 0; holds && i < has->len; i++)
        holds = (has->data[i] & ~(i < wanted->len ? wanted->data[i] : 0)) == 0;
    if (holds)
        return NULL;
    return g_strdup_printf("the kernel allows %s, not %s", *value ? value : "all", list);
}

static char *deviation_cpus(const WorkerLimits *limits, const char *value, bool unified)
{
    return deviation_list(limits->allowed_cpus, value);
}

static bool wants_nodes(const WorkerLimits *limits)
{
    return limits->allowed_memory_nodes != NULL;
}

static char *format_nodes(const WorkerLimits *limits, bool unified)
{
    return g_strdup(limits->allowed_memory_nodes);
}

static char *deviation_nodes(const WorkerLimits *limits, const char *value, bool unified)
{
    return deviation_list(limits->allowed_memory_nodes, value);
}

/* ---- I/O ---- */

static bool wants_io_weight(const WorkerLimits *limits)
{
    return limits->io_weight != 0;
}

/* The BFQ scheduler has 1…1000 for our 1…10000, both with 100 in the middle; systemd scales so, too. */
static uint64_t weight_to_bfq(uint64_t weight)
{
    return weight <= 100 ? weight : 100 + (weight - 100) * 900 / 9900;
}

static char *format_io_weight(const WorkerLimits *limits, bool unified)
{
    return g_strdup_printf("%" PRIu64, unified ? limits->io_weight : weight_to_bfq(limits->io_weight));
}

/* "100", or "default 100" and then lines for single devices. */
static char *deviation_io_weight(const WorkerLimits *limits, const char *value, bool unified)
{
    g_autofree char *line = g_strndup(value, strcspn(value, "\n"));
    const char *number = g_str_has_prefix(line, "default ") ? line + strlen("default ") : line;
    uint64_t has;

    if (parse_uint64(number, &has) == 0 && (has == limits->io_weight || has == weight_to_bfq(limits->io_weight)))
        return NULL;
    return g_strdup_printf("the kernel has %s, not %" PRIu64, number, limits->io_weight);
}

/* ---- the table ---- */

static const LimitKind kinds[] = {
    { "memory limit", CGROUP_MEMORY, { "memory.limit_in_bytes", "memory.max" }, { "-1", "max" }, NULL,
      wants_memory_max, format_memory_max, deviation_memory_max },
    { "MemoryHigh", CGROUP_MEMORY, { NULL, "memory.high" }, { NULL, "max" }, NULL,
      wants_memory_high, format_memory_high, deviation_memory_high },
    { "CPU quota", CGROUP_CPU, { "cpu.cfs_quota_us", "cpu.max" }, { "-1", "max 100000" }, NULL,
      wants_cpu_quota, format_cpu_quota, deviation_cpu_quota },
    { "CPU weight", CGROUP_CPU, { "cpu.shares", "cpu.weight" }, { "1024", "100" }, NULL,
      wants_cpu_weight, format_cpu_weight, deviation_cpu_weight },
    { "allowed CPUs", CGROUP_CPUSET, { "cpuset.effective_cpus", "cpuset.cpus.effective" }, { "", "" }, NULL,
      wants_cpus, format_cpus, deviation_cpus },
    { "memory nodes", CGROUP_CPUSET, { "cpuset.effective_mems", "cpuset.mems.effective" }, { "", "" }, NULL,
      wants_nodes, format_nodes, deviation_nodes },
    { "task limit", CGROUP_PIDS, { "pids.max", "pids.max" }, { "max", "max" }, NULL,
      wants_tasks_max, format_tasks_max, deviation_tasks_max },
    { "IO weight", CGROUP_IO, { "blkio.bfq.weight", "io.weight" }, { "100", "100" }, "io.bfq.weight",
      wants_io_weight, format_io_weight, deviation_io_weight },
};

static char *no_controller(const LimitKind *kind, int version)
{
    const char *word = cgroup_controller_word(kind->controller, version != 1);

    if (kind->other && version != 0)
        return g_strdup_printf("the %s controller of this kernel has no weights", word);
    return g_strdup_printf("no %s controller in this worker's cgroup", word);
}

static int kind_read(const LimitKind *kind, int version, const LimitSource *source, char **ret_value)
{
    int r = source->read(kind->controller, kind->files[version - 1], ret_value, source->userdata);

    if (r == -ENOENT && version == 2 && kind->other)
        r = source->read(kind->controller, kind->other, ret_value, source->userdata);
    return r;
}

static char *kind_check(const LimitKind *kind, const WorkerLimits *limits, const LimitSource *source)
{
    int version = source->version(kind->controller, source->userdata);
    g_autofree char *value = NULL;

    if (version == 0)
        return no_controller(kind, version);
    const char *file = kind->files[version - 1];
    if (!file)
        return g_strdup_printf("cgroup v%d has no %s", version, kind->files[2 - version]);
    int r = kind_read(kind, version, source, &value);
    if (r == -ENOENT)
        return no_controller(kind, version);
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

static void settings_add(GArray *settings, CgroupController controller, const char *file, char *value, bool may_fail)
{
    LimitSetting setting = { .controller = controller, .file = file, .value = value, .may_fail = may_fail };

    g_array_append_val(settings, setting);
}

/* The file that is written is not always the one that tells what came of it. */
static const char *written_file(const LimitKind *kind, bool unified)
{
    if (kind->controller == CGROUP_CPUSET)
        return kind->wanted == wants_cpus ? "cpuset.cpus" : "cpuset.mems";
    return kind->files[unified];
}

static void settings_add_kind(GArray *settings, const LimitKind *kind, const WorkerLimits *limits, bool unified)
{
    bool wanted = kind->wanted(limits);
    char *value = wanted ? kind->format(limits, unified) : g_strdup(kind->none[unified]);

    if (kind->other && unified)
        settings_add(settings, kind->controller, kind->other, g_strdup(value), true);
    settings_add(settings, kind->controller, written_file(kind, unified), value, kind->other != NULL);
}

/* Else reaching the limit would only mean swapping. On v1 the sum of both must never be below memory alone, so that it has to be
 * written first when more is allowed, and last when less is. */
static void settings_add_swap(GArray *settings, const WorkerLimits *limits, bool unified)
{
    bool wanted = wants_memory_max(limits);

    if (unified)
        settings_add(settings, CGROUP_MEMORY, "memory.swap.max", g_strdup(wanted ? "0" : "max"), true);
    else
        settings_add(settings, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
                     wanted ? format_memory_max(limits, false) : g_strdup("-1"), true);
}

GArray *limit_settings(const WorkerLimits *limits, uint32_t controllers, bool unified, bool lift)
{
    GArray *settings = g_array_new(FALSE, FALSE, sizeof(LimitSetting));
    bool swap = (controllers & CGROUP_BIT(CGROUP_MEMORY)) && (lift || wants_memory_max(limits));

    g_array_set_clear_func(settings, setting_clear);
    if (swap && lift && !unified)
        settings_add_swap(settings, limits, unified);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const LimitKind *kind = &kinds[i];
        bool asked = lift || kind->wanted(limits);
        if (asked && (controllers & CGROUP_BIT(kind->controller)) && kind->files[unified])
            settings_add_kind(settings, kind, limits, unified);
    }
    if (swap)
        settings_add_swap(settings, limits, unified);
    return settings;
}
