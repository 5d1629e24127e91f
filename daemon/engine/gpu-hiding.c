/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which device nodes belong to which GPU, and keeping those of the others from a worker. A GPU has up to three: NVIDIA's own, and
 * what /sys lists for its bus address (a card and a render node). Those that all GPUs share (nvidiactl, nvidia-uvm, kfd) stay:
 * nothing works without them. Only GPUs of the vendor whose are handed out are hidden: a list "0,2" counts among these. */
#include "engine/gpu-hiding.h"
#include "engine/limit-check.h"
#include "util/log.h"
#include "util/parse-util.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define NVIDIA_MAJOR 195U /* assigned for good; the node may be made only when it is first used */
#define NVIDIA_NODE "/dev/nvidia"

static void add_number(GArray *devices, uint32_t major_number, uint32_t minor_number)
{
    DeviceNumber device = { .major = major_number, .minor = minor_number };

    for (guint i = 0; i < devices->len; i++) {
        const DeviceNumber *known = &g_array_index(devices, DeviceNumber, i);
        if (known->major == major_number && known->minor == minor_number)
            return;
    }
    g_array_append_val(devices, device);
}

static void add_node(GArray *devices, const char *path)
{
    uint64_t number;
    struct stat st;

    if (g_str_has_prefix(path, NVIDIA_NODE) && parse_uint64(path + strlen(NVIDIA_NODE), &number) == 0 && number < 256)
        add_number(devices, NVIDIA_MAJOR, (uint32_t) number);
    else if (stat(path, &st) == 0 && S_ISCHR(st.st_mode))
        add_number(devices, major(st.st_rdev), minor(st.st_rdev));
}

/* "226:128" */
static void add_dev_file(GArray *devices, const char *path)
{
    g_autofree char *text = NULL;
    uint64_t numbers[2];

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    g_auto(GStrv) words = g_strsplit(g_strchomp(text), ":", 2);
    if (g_strv_length(words) == 2 && parse_uint64(words[0], &numbers[0]) == 0 && numbers[0] < UINT16_MAX &&
        parse_uint64(words[1], &numbers[1]) == 0 && numbers[1] < UINT32_MAX)
        add_number(devices, (uint32_t) numbers[0], (uint32_t) numbers[1]);
}

static void add_of_bus(GArray *devices, const char *root, const char *bus)
{
    g_autofree char *path = g_strdup_printf("%s/sys/bus/pci/devices/%s/drm", root, bus);
    DIR *dir = *bus ? opendir(path) : NULL;

    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        g_autofree char *file = g_build_filename(path, entry->d_name, "dev", NULL);
        if (*entry->d_name != '.')
            add_dev_file(devices, file);
    }
    closedir(dir);
}

static bool list_has(const GByteArray *list, uint32_t index)
{
    return index / 8 < list->len && (list->data[index / 8] & (1U << (index % 8)));
}

GArray *gpu_hiding_devices(const Machine *machine, const Placement *placement, const char *root)
{
    GArray *devices = g_array_new(FALSE, FALSE, sizeof(DeviceNumber));
    g_autoptr(GByteArray) own = placement->gpu_list ? limit_cpu_mask(placement->gpu_list) : NULL;

    for (size_t i = 0; own && machine && i < machine->n_gpus; i++) {
        const MachineGpu *gpu = &machine->gpus[i];
        if (strcmp(gpu->vendor, machine->gpus[0].vendor) != 0 || list_has(own, gpu->index))
            continue;
        if (gpu->device)
            add_node(devices, gpu->device);
        add_of_bus(devices, root, gpu->bus);
    }
    return devices;
}

static char *unified_directory(const WorkerGroup *group)
{
    int i = cgroup_hierarchy_unified();

    return i >= 0 && group->paths[i] ? cgroup_directory(cgroup_hierarchy((size_t) i), group->paths[i]) : NULL;
}

void gpu_hiding_apply(const WorkerGroup *group, const Machine *machine, const Placement *placement)
{
    g_autoptr(GArray) devices = gpu_hiding_devices(machine, placement, "");
    g_autofree char *directory = unified_directory(group);

    if (devices->len == 0 || !directory)
        return;
    int r = device_filter_attach(directory, (const DeviceNumber *) (const void *) devices->data, devices->len);
    if (r < 0)
        log_debug_errno(r, "other GPUs cannot be hidden from %s: %m", directory);
}

static char *sentence(const char *reason)
{
    return g_strdup_printf("GPUs: other GPUs' device nodes are not hidden (%s)", reason);
}

char *gpu_hiding_check(const WorkerGroup *group, const Machine *machine, const Placement *placement)
{
    g_autoptr(GArray) devices = gpu_hiding_devices(machine, placement, "");
    g_autofree char *directory = unified_directory(group);

    if (!placement->gpu_list)
        return NULL;
    if (!machine)
        return sentence("it is not known which there are");
    if (devices->len == 0)
        return NULL;
    if (!directory)
        return sentence("only groups of cgroup v2 can hide devices");
    int r = device_filter_is_attached(directory);
    if (r > 0)
        return NULL;
    return sentence(r < 0 ? g_strerror(-r) : "this kernel, or this user, can make no device filter");
}

char **gpu_hiding_add_check(char **sentences, const WorkerGroup *group, const Machine *machine, const Placement *placement)
{
    char *one = gpu_hiding_check(group, machine, placement);
    guint n = g_strv_length(sentences);

    if (!one)
        return sentences;
    sentences = g_renew(char *, sentences, n + 2);
    sentences[n] = one;
    sentences[n + 1] = NULL;
    return sentences;
}
